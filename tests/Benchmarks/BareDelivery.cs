using System.Diagnostics;
using System.Net.Http.Headers;
using System.Text.Json;
using System.Threading.Channels;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;
using Npgsql;
using NpgsqlTypes;

namespace RuleEngineNats.Benchmarks;

/// <summary>
/// What delivery is with the drivers alone, and as well as they can: consume, POST, COPY of an attempt row with all that the worker writes into one (what
/// waits while one COPY runs forms the next), ack. No routes, no signature, no limits, no second try.
/// </summary>
internal sealed class BareDelivery(INatsJSContext jetStream, NpgsqlDataSource database, Uri endpoint, int concurrency)
{
    private static readonly MediaTypeHeaderValue Json = new("application/json");

    private readonly string _worker = $"{Environment.MachineName}:{Environment.ProcessId}:{Guid.NewGuid():N}";
    private readonly HttpMessageInvoker _client = new(new SocketsHttpHandler { UseCookies = false, UseProxy = false, AllowAutoRedirect = false });

    /// <summary>Takes so many messages from a stream that has them.</summary>
    public async Task RunAsync(string stream, int count)
    {
        var consumer = await jetStream.CreateOrUpdateConsumerAsync(stream, new ConsumerConfig("bare") { MaxAckPending = 256, AckPolicy = ConsumerConfigAckPolicy.Explicit });
        var messages = Channel.CreateBounded<INatsJSMsg<byte[]>>(concurrency);
        var rows = Channel.CreateUnbounded<Done>();
        var writing = WriteAsync(rows.Reader);
        var workers = Enumerable.Range(0, concurrency).Select(_ => WorkAsync(messages.Reader, rows.Writer)).ToArray();
        var got = 0;
        await foreach (var message in consumer.ConsumeAsync<byte[]>(opts: new NatsJSConsumeOpts { MaxMsgs = concurrency * 2 }))
        {
            await messages.Writer.WriteAsync(message);
            if (++got == count)
            {
                break;
            }
        }

        messages.Writer.Complete();
        await Task.WhenAll(workers);
        rows.Writer.Complete();
        await writing;
    }

    /// <summary>POSTs alone, from as many loops at once.</summary>
    public async Task<Run> PostAsync(TimeSpan time, byte[] body)
    {
        var clock = Stopwatch.StartNew();
        var counts = await Task.WhenAll(Enumerable.Range(0, concurrency).Select(async _ =>
        {
            var count = 0;
            for (; clock.Elapsed < time; count++)
            {
                await PostAsync(body);
            }

            return count;
        }));
        return Run.Of(counts.Sum(), clock.Elapsed, []);
    }

    private async Task WorkAsync(ChannelReader<INatsJSMsg<byte[]>> messages, ChannelWriter<Done> rows)
    {
        await foreach (var message in messages.ReadAllAsync())
        {
            var began = Stopwatch.GetTimestamp();
            var (headers, firstByte) = await PostAsync(message.Data!);
            var written = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            rows.TryWrite(new(message, headers, firstByte, Stopwatch.GetElapsedTime(began), written));
            await written.Task;
            await message.AckAsync();
        }
    }

    private async Task<(HttpResponseHeaders Headers, TimeSpan FirstByte)> PostAsync(byte[] body)
    {
        var began = Stopwatch.GetTimestamp();
        using var content = new ByteArrayContent(body);
        content.Headers.ContentType = Json;
        using var request = new HttpRequestMessage(HttpMethod.Post, endpoint) { Content = content };
        using var response = await _client.SendAsync(request, CancellationToken.None);
        var firstByte = Stopwatch.GetElapsedTime(began);
        response.Content.ReadAsStream().CopyTo(Stream.Null);
        return (response.Headers, firstByte);
    }

    private async Task WriteAsync(ChannelReader<Done> rows)
    {
        await using var connection = await database.OpenConnectionAsync();
        var batch = new List<TaskCompletionSource>();
        while (await rows.WaitToReadAsync())
        {
            await using (var copy = await connection.BeginBinaryImportAsync(
                "COPY bench_attempts (attempt_number, started_at, completed_at, response_status, execution_time_ms, event_id, webhook_id, outcome, subject, stream, stream_sequence, worker, remote_address, response_headers, first_byte_ms) FROM STDIN (FORMAT binary)"))
            {
                while (rows.TryRead(out var row))
                {
                    await WriteAsync(copy, row);
                    batch.Add(row.Written);
                }

                await copy.CompleteAsync();
            }

            batch.ForEach(written => written.SetResult());
            batch.Clear();
        }
    }

    private async Task WriteAsync(NpgsqlBinaryImporter copy, Done row)
    {
        var ended = DateTime.UtcNow;
        await copy.StartRowAsync();
        await copy.WriteAsync(1, NpgsqlDbType.Integer);
        await copy.WriteAsync(ended - row.Duration, NpgsqlDbType.TimestampTz);
        await copy.WriteAsync(ended, NpgsqlDbType.TimestampTz);
        await copy.WriteAsync(204, NpgsqlDbType.Integer);
        await copy.WriteAsync((decimal)row.Duration.TotalMilliseconds, NpgsqlDbType.Numeric);
        await copy.WriteAsync(row.Message.Headers!["Nats-Msg-Id"].ToString(), NpgsqlDbType.Text);
        await copy.WriteAsync(1, NpgsqlDbType.Integer);
        await copy.WriteAsync("delivered", NpgsqlDbType.Text);
        await copy.WriteAsync(row.Message.Subject, NpgsqlDbType.Text);
        await copy.WriteAsync(row.Message.Metadata!.Value.Stream, NpgsqlDbType.Text);
        await copy.WriteAsync((long)row.Message.Metadata!.Value.Sequence.Stream, NpgsqlDbType.Bigint);
        await copy.WriteAsync(_worker, NpgsqlDbType.Text);
        await copy.WriteAsync(endpoint.Authority, NpgsqlDbType.Text);
        await copy.WriteAsync(JsonSerializer.Serialize(row.Headers.NonValidated.ToDictionary(header => header.Key, header => header.Value.ToString())), NpgsqlDbType.Jsonb);
        await copy.WriteAsync((decimal)row.FirstByte.TotalMilliseconds, NpgsqlDbType.Numeric);
    }

    private sealed record Done(INatsJSMsg<byte[]> Message, HttpResponseHeaders Headers, TimeSpan FirstByte, TimeSpan Duration, TaskCompletionSource Written);
}
