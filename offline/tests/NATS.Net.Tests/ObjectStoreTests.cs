using System.Security.Cryptography;
using System.Text.Json;
using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;
using NATS.Client.ObjectStore;
using NATS.Client.ObjectStore.Models;

namespace NATS.Net.Tests;

public sealed class ObjectStoreTests(JetStreamServer server) : IClassFixture<JetStreamServer>, IAsyncLifetime
{
    private readonly NatsConnection _nats = new(new NatsOpts { Url = server.Url });
    private readonly string _bucket = "B" + Nuid.NewNuid();
    private NatsJSContext _js = null!;
    private INatsObjStore _store = null!;

    public async Task InitializeAsync()
    {
        _js = new NatsJSContext(_nats);
        _store = await new NatsObjContext(_js).CreateObjectStoreAsync(new NatsObjConfig(_bucket) { MaxAge = TimeSpan.FromHours(1) }).InTime();
    }

    public async Task DisposeAsync() => await _nats.DisposeAsync();

    [Theory]
    [InlineData(0, 0, 1)]
    [InlineData(1, 1, 1)]
    [InlineData(128 * 1024, 1, 2)]
    [InlineData((3 * 128 * 1024) + 7, 4, 4)]
    public async Task What_is_put_is_got_and_lies_on_the_server_as_the_protocol_says(int size, uint chunks, long messages)
    {
        var bytes = RandomNumberGenerator.GetBytes(size);
        var info = await _store.PutAsync("na/me", bytes).InTime();

        Assert.Equal(bytes, await _store.GetBytesAsync("na/me").InTime());
        Assert.Equal((chunks, (ulong)size), (info.Chunks, info.Size));
        var stream = await _js.GetStreamAsync($"OBJ_{_bucket}", new StreamInfoRequest { SubjectsFilter = ">" }).InTime();
        Assert.Equal(messages, stream.Info.State.Subjects![$"$O.{_bucket}.C.{info.Nuid}"]);
        var meta = (await stream.GetAsync(new StreamMsgGetRequest { LastBySubj = $"$O.{_bucket}.M.bmEvbWU=" }).InTime()).Message;
        using var json = JsonDocument.Parse(meta.Data);
        Assert.Equal(
            "SHA-256=" + Convert.ToBase64String(SHA256.HashData(bytes)).Replace('+', '-').Replace('/', '_'), json.RootElement.GetProperty("digest").GetString());
        Assert.Equal(131072, json.RootElement.GetProperty("options").GetProperty("max_chunk_size").GetInt32());
    }

    [Fact]
    public async Task A_second_put_takes_the_place_of_the_first_and_leaves_nothing_of_it()
    {
        var first = await _store.PutAsync("a", new byte[1000]).InTime();
        await _store.PutAsync(new ObjectMetadata { Name = "a", Options = new() { MaxChunkSize = 100 } }, new MemoryStream(new byte[250])).InTime();

        var stream = await _js.GetStreamAsync($"OBJ_{_bucket}", new StreamInfoRequest { SubjectsFilter = ">" }).InTime();
        Assert.DoesNotContain($"$O.{_bucket}.C.{first.Nuid}", stream.Info.State.Subjects!.Keys);
        Assert.Equal(3u, (await _store.GetInfoAsync("a").InTime()).Chunks);
        Assert.Equal(new byte[250], await _store.GetBytesAsync("a").InTime());
    }

    [Fact]
    public async Task A_deleted_object_is_not_found_and_its_chunks_are_gone()
    {
        await _store.PutAsync("a", new byte[1000]).InTime();
        await _store.DeleteAsync("a").InTime();

        await Assert.ThrowsAsync<NatsObjNotFoundException>(() => _store.GetBytesAsync("a").InTime());
        Assert.True((await _store.GetInfoAsync("a", showDeleted: true).InTime()).Deleted);
        Assert.Equal(1, (long)(await _js.GetStreamAsync($"OBJ_{_bucket}").InTime()).Info.State.Messages);
    }

    [Fact]
    public async Task Chunks_that_are_others_than_described_are_an_error()
    {
        var info = await _store.PutAsync("a", "right"u8.ToArray()).InTime();
        await _js.PurgeStreamAsync($"OBJ_{_bucket}", new StreamPurgeRequest { Filter = $"$O.{_bucket}.C.{info.Nuid}" }).InTime();
        await _js.PublishAsync($"$O.{_bucket}.C.{info.Nuid}", "wrong"u8.ToArray()).InTime();

        Assert.Equal("SHA-256 digest mismatch", (await Assert.ThrowsAsync<NatsObjException>(() => _store.GetBytesAsync("a").InTime())).Message);
    }

    [Fact]
    public async Task A_bucket_that_is_not_there_is_error_404()
    {
        Assert.Equal(404, (await Assert.ThrowsAsync<NatsJSApiException>(() => new NatsObjContext(_js).GetObjectStoreAsync("none").InTime())).Error.Code);
        await Assert.ThrowsAsync<NatsObjException>(() => new NatsObjContext(_js).GetObjectStoreAsync("a.b").InTime());
        await Assert.ThrowsAsync<NatsObjNotFoundException>(() => _store.GetInfoAsync("none").InTime());
    }
}
