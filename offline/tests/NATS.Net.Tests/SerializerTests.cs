using System.Buffers;
using System.Text;
using System.Text.Json.Serialization;
using NATS.Client.Core;
using NATS.Client.Serializers.Json;

namespace NATS.Net.Tests;

public sealed partial class SerializerTests
{
    [Fact]
    public void Primitives_are_text()
    {
        Same("text", "text");
        Same(true, "True");
        Same(-12, "-12");
        Same((byte)7, "7");
        Same(1234567890123L, "1234567890123");
        Same(18446744073709551615UL, "18446744073709551615");
        Same(1.5m, "1.5");
        Same(0.25d, "0.25");
        Same(Guid.Parse("0a1b2c3d-0000-4000-8000-00000000abcd"), "0a1b2c3d-0000-4000-8000-00000000abcd");
        Same(TimeSpan.FromSeconds(90), "00:01:30");
        Same(new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero), "2026-01-02T03:04:05.0000000Z");
        Same(new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.FromHours(2)), "2026-01-02T03:04:05.0000000+02:00");
        Same(new DateTime(2026, 1, 2, 3, 4, 5, DateTimeKind.Utc), "2026-01-02T03:04:05.0000000Z");
        Same<int?>(5, "5");
    }

    [Fact]
    public void Nothing_is_the_default()
    {
        Assert.Null(NatsDefaultSerializer<string>.Default.Deserialize(ReadOnlySequence<byte>.Empty));
        Assert.Null(NatsDefaultSerializer<byte[]>.Default.Deserialize(ReadOnlySequence<byte>.Empty));
        Assert.Null(NatsDefaultSerializer<int?>.Default.Deserialize(ReadOnlySequence<byte>.Empty));
        Assert.Equal(0, NatsDefaultSerializer<int>.Default.Deserialize(ReadOnlySequence<byte>.Empty));
    }

    [Fact]
    public void What_no_serializer_knows_is_refused()
    {
        Assert.Throws<NatsException>(() => NatsDefaultSerializer<Sample>.Default.Serialize(new ArrayBufferWriter<byte>(), new Sample(1)));
        Assert.Throws<NatsException>(() => NatsDefaultSerializer<Sample>.Default.Deserialize(new ReadOnlySequence<byte>([1])));
        Assert.Throws<NatsException>(() => NatsDefaultSerializer<int>.Default.Deserialize(new ReadOnlySequence<byte>("x"u8.ToArray())));
    }

    [Fact]
    public void Json_by_reflection_and_by_context()
    {
        INatsSerializerRegistry[] registries = [NatsJsonSerializerRegistry.Default, new NatsJsonContextSerializerRegistry(Context.Default), NatsClientDefaultSerializerRegistry.Default];
        foreach (var registry in registries)
        {
            var writer = new ArrayBufferWriter<byte>();
            registry.GetSerializer<Sample>().Serialize(writer, new Sample(3));
            Assert.Equal("""{"Value":3}""", Encoding.UTF8.GetString(writer.WrittenSpan));
            Assert.Equal(new Sample(3), registry.GetDeserializer<Sample>().Deserialize(new ReadOnlySequence<byte>(writer.WrittenMemory)));
        }
    }

    [Fact]
    public void A_chain_asks_one_after_the_other()
    {
        var chain = new NatsSerializerBuilder<Sample>()
            .Add(new NatsRawSerializer<Sample>())
            .Add(new NatsUtf8PrimitivesSerializer<Sample>())
            .Add(new NatsJsonContextSerializer<Sample>(Context.Default))
            .Build();

        Assert.Equal(new Sample(4), chain.Deserialize(new ReadOnlySequence<byte>("""{"Value":4}"""u8.ToArray())));
    }

    [Fact]
    public void A_memory_owner_gives_its_buffer_back_once()
    {
        using var owner = NatsDefaultSerializer<NatsMemoryOwner<byte>>.Default.Deserialize(new ReadOnlySequence<byte>([1, 2, 3, 4]));
        Assert.Equal(4, owner.Length);
        var slice = owner.Slice(1, 2);
        Assert.Equal([2, 3], slice.Memory.ToArray());
        slice.Dispose();
        Assert.Equal(0, slice.Memory.Length);
    }

    [Fact]
    public void Ids_are_unique_and_of_22_characters()
    {
        var ids = Enumerable.Range(0, 10_000).AsParallel().Select(_ => Nuid.NewNuid()).ToArray();

        Assert.Equal(10_000, ids.Distinct().Count());
        Assert.All(ids, id => Assert.Matches("^[0-9A-Za-z]{22}$", id));
    }

    private static void Same<T>(T value, string text)
    {
        var writer = new ArrayBufferWriter<byte>();
        NatsDefaultSerializer<T>.Default.Serialize(writer, value);
        Assert.Equal(text, Encoding.UTF8.GetString(writer.WrittenSpan));
        Assert.Equal(value, NatsDefaultSerializer<T>.Default.Deserialize(new ReadOnlySequence<byte>(writer.WrittenMemory)));
    }

    public sealed record Sample(int Value);

    [JsonSerializable(typeof(Sample))]
    private sealed partial class Context : JsonSerializerContext;
}
