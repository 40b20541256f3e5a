using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using NATS.Client.Core;
using NATS.NKeys;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.ChangeCapture.Tests;

[Trait("Category", "Servers")]
public sealed class NatsAccessTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("access-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task A_user_is_let_in_by_the_password_of_a_file_and_no_other()
    {
        await using var harness = await CreateAsync("authorization { user: capture, password: \"s3c:ret@\" }", new() { Username = "capture", Password = "s3c:ret@" });
        await RefusedAsync(harness);
        await RefusedAsync(harness, "--nats-user", "capture", "--nats-password-file", Write("wrong", "secret\n"));
        await LetInAsync(harness, "--nats-user", "capture", "--nats-password-file", Write("password", "s3c:ret@\n"));
    }

    [Fact]
    public async Task A_token_and_a_password_may_be_in_the_environment_and_a_user_in_the_url_goes_before_it()
    {
        await using var harness = await CreateAsync("authorization { token: t0ken }", new() { Token = "t0ken" });
        await LetInAsync(harness, "--nats-token-file", Write("token", "t0ken"));
        harness.Environment["PGOUTPUT_STREAM_NATS_TOKEN"] = "t0ken";
        await using var other = await NatsServer.StartAsync(new(Configuration: "authorization { user: other, password: secret }"));
        await LetInAsync(harness, "--nats-server", $"nats://other:secret@127.0.0.1:{other.Port}");
    }

    [Fact]
    public async Task A_user_is_let_in_by_an_nkey()
    {
        using var user = KeyPair.CreatePair(PrefixByte.User);
        await using var harness = await CreateAsync($"authorization {{ users: [ {{ nkey: {user.GetPublicKey()} }} ] }}", new() { AuthCredCallback = (_, _) => new(NatsAuthCred.FromNkey(user.GetSeed())) });
        await RefusedAsync(harness);
        await LetInAsync(harness, "--nats-nkey", Write("nkey", $"{user.GetSeed()}\n{user.GetPublicKey()}\n"));
    }

    [Fact]
    public async Task A_user_is_let_in_by_a_credentials_file()
    {
        using var root = KeyPair.CreatePair(PrefixByte.Operator);
        using var system = KeyPair.CreatePair(PrefixByte.Account);
        using var account = KeyPair.CreatePair(PrefixByte.Account);
        using var user = KeyPair.CreatePair(PrefixByte.User);
        const string Limits = """
            "limits":{"subs":-1,"data":-1,"payload":-1,"imports":-1,"exports":-1,"wildcards":true,"conn":-1,"leaf":-1,"mem_storage":-1,"disk_storage":-1,"streams":-1,"consumer":-1}
            """;
        var configuration = $$"""
            operator: {{Jwt(root, root, """{"type":"operator","version":2}""")}}
            system_account: {{system.GetPublicKey()}}
            resolver: MEMORY
            resolver_preload: {
              {{system.GetPublicKey()}}: {{Jwt(root, system, """{"type":"account","version":2,"limits":{"subs":-1,"data":-1,"payload":-1,"imports":-1,"exports":-1,"wildcards":true,"conn":-1,"leaf":-1}}""")}}
              {{account.GetPublicKey()}}: {{Jwt(root, account, $$"""{"type":"account","version":2,{{Limits}}}""")}}
            }
            """;
        var credentials = Write("user.creds", $"""
            -----BEGIN NATS USER JWT-----
            {Jwt(account, user, """{"type":"user","version":2,"subs":-1,"data":-1,"payload":-1,"pub":{},"sub":{}}""")}
            ------END NATS USER JWT------
            -----BEGIN USER NKEY SEED-----
            {user.GetSeed()}
            ------END USER NKEY SEED------

            """);
        await using var harness = await CreateAsync(configuration, new() { CredsFile = credentials });
        await RefusedAsync(harness);
        await LetInAsync(harness, "--nats-creds", credentials);
    }

    [Fact]
    public async Task A_server_is_known_by_its_authority_and_the_capture_by_its_certificate()
    {
        using var authority = new TestAuthority();
        var (server, client) = (Write("server.pem", authority.IssuePem("server")), Write("client.pem", authority.IssuePem("client")));
        await using var harness = await CaptureHarness.CreateAsync(
            Rows.Table,
            new(Configuration: $"tls {{ cert_file: \"{server}\", key_file: \"{server}\", ca_file: \"{authority.File}\", verify: true, timeout: 10 }}"),
            options => options with { TlsOpts = new() { CaFile = authority.File, CertFile = client, KeyFile = client } });
        await RefusedAsync(harness, "--nats-tls-cert", client, "--nats-tls-key", client);
        await RefusedAsync(harness, "--nats-tls-ca", authority.File);
        await LetInAsync(harness, "--nats-tls-ca", authority.File, "--nats-tls-cert", client, "--nats-tls-key", client);
        await LetInAsync(harness, "--nats-tls-insecure", "--nats-tls-cert", client, "--nats-tls-key", client);
    }

    [Fact]
    public async Task A_server_without_tls_is_refused_when_tls_is_asked_for()
    {
        await using var harness = await CaptureHarness.CreateAsync(Rows.Table);
        await RefusedAsync(harness, "--nats-tls-insecure");
        await LetInAsync(harness);
    }

    [Fact]
    public async Task A_stream_that_is_made_has_the_limits_that_are_asked_for()
    {
        await using var harness = await CaptureHarness.CreateAsync(Rows.Table);
        await harness.CaptureToNatsAsync("--nats-stream", "PLAIN", "--nats-subject-prefix", "plain");
        var plain = (await harness.JetStream.GetStreamAsync("PLAIN")).Info.Config;
        Assert.Equal((-1, TimeSpan.Zero, 1), (plain.MaxBytes, plain.MaxAge, plain.NumReplicas));
        await using var second = await CaptureHarness.CreateAsync(Rows.Table);
        await second.CaptureToNatsAsync("--nats-max-bytes", "1000000", "--nats-max-age", "90s", "--nats-replicas", "1");
        var limited = (await second.JetStream.GetStreamAsync(CaptureHarness.Stream)).Info.Config;
        Assert.Equal((1_000_000, TimeSpan.FromSeconds(90), TimeSpan.FromSeconds(90)), (limited.MaxBytes, limited.MaxAge, limited.DuplicateWindow));
    }

    private static Task<CaptureHarness> CreateAsync(string configuration, NatsAuthOpts test)
        => CaptureHarness.CreateAsync(Rows.Table, new(Configuration: configuration), options => options with { AuthOpts = test });

    private static async Task RefusedAsync(CaptureHarness harness, params string[] arguments)
    {
        var tool = harness.Start(["-c", harness.ConnectionString, "-s", harness.Slot, "-p", "pub", "--create-slot", "--nats-server", harness.Nats.Url, .. arguments]);
        await tool.SaysAsync("is not ready");
        Assert.DoesNotContain("capturing from slot", tool.Log, StringComparison.Ordinal);
        await tool.KillAsync();
    }

    private static async Task LetInAsync(CaptureHarness harness, params string[] arguments)
    {
        var tool = await harness.CaptureToNatsAsync(arguments);
        var before = await harness.StoredAsync();
        await harness.ExecuteAsync("INSERT INTO t SELECT coalesce(max(id), 0) + 1 FROM t");
        await tool.WaitAsync(async () => await harness.StoredAsync() >= before + 3, "the row is stored");
        Assert.Equal(0, await tool.TerminateAsync());
    }

    // What nsc writes: claims signed by the issuer's key, with their own hash as id.
    private static string Jwt(KeyPair issuer, KeyPair subject, string nats)
    {
        var claims = $$"""{"iat":1700000000,"iss":"{{issuer.GetPublicKey()}}","name":"n","nats":{{nats}},"sub":"{{subject.GetPublicKey()}}"}""";
        var id = Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(claims)));
        var body = $"{Encode("""{"typ":"JWT","alg":"ed25519-nkey"}"""u8)}.{Encode(Encoding.UTF8.GetBytes(claims[..^1] + $",\"jti\":\"{id}\"}}"))}";
        var signature = new byte[64];
        issuer.Sign(Encoding.ASCII.GetBytes(body), signature);
        return $"{body}.{Encode(signature)}";

        static string Encode(ReadOnlySpan<byte> bytes) => Base64Url.EncodeToString(bytes);
    }

    private string Write(string name, string text)
    {
        var path = Path.Combine(_folder, name);
        File.WriteAllText(path, text);
        return path;
    }
}
