using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using NATS.Client.Core;
using NATS.NKeys;

namespace NATS.Net.Tests;

public sealed class AuthTests
{
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(20);

    [Fact]
    public async Task User_and_password_by_options_and_by_url()
    {
        await using var server = await Server.StartAsync("authorization { user: me, password: \"s3c:ret@\" }");

        await AcceptedAsync(new NatsOpts { Url = server.Url, AuthOpts = new NatsAuthOpts { Username = "me", Password = "s3c:ret@" } });
        await AcceptedAsync(new NatsOpts { Url = $"nats://me:{Uri.EscapeDataString("s3c:ret@")}@127.0.0.1:{server.Port}" });
        await AcceptedAsync(new NatsOpts { Url = server.Url, AuthOpts = new NatsAuthOpts { AuthCredCallback = (_, _) => new(NatsAuthCred.FromUserInfo("me", "s3c:ret@")) } });
        await RefusedAsync(new NatsOpts { Url = server.Url, AuthOpts = new NatsAuthOpts { Username = "me", Password = "wrong" } });
        await RefusedAsync(new NatsOpts { Url = server.Url });
    }

    [Fact]
    public async Task Token_by_options_and_by_url()
    {
        await using var server = await Server.StartAsync("authorization { token: t0ken }");

        await AcceptedAsync(new NatsOpts { Url = server.Url, AuthOpts = new NatsAuthOpts { Token = "t0ken" } });
        await AcceptedAsync(new NatsOpts { Url = $"nats://t0ken@127.0.0.1:{server.Port}" });
        await AcceptedAsync(new NatsOpts { Url = server.Url, AuthOpts = new NatsAuthOpts { AuthCredCallback = (_, _) => new(NatsAuthCred.FromToken("t0ken")) } });
        await RefusedAsync(new NatsOpts { Url = server.Url, AuthOpts = new NatsAuthOpts { Token = "other" } });
    }

    [Fact]
    public async Task Nkey_by_options_file_and_callback()
    {
        using var user = KeyPair.CreatePair(PrefixByte.User);
        using var stranger = KeyPair.CreatePair(PrefixByte.User);
        await using var server = await Server.StartAsync($"authorization {{ users: [ {{ nkey: {user.GetPublicKey()} }} ] }}");
        var file = Path.GetTempFileName();
        await File.WriteAllTextAsync(file, user.GetSeed() + "\n" + user.GetPublicKey() + "\n");

        await AcceptedAsync(new NatsOpts { Url = server.Url, AuthOpts = new NatsAuthOpts { NKey = user.GetPublicKey(), Seed = user.GetSeed() } });
        await AcceptedAsync(new NatsOpts { Url = server.Url, AuthOpts = new NatsAuthOpts { NKeyFile = file } });
        await AcceptedAsync(new NatsOpts { Url = server.Url, AuthOpts = new NatsAuthOpts { AuthCredCallback = (_, _) => new(NatsAuthCred.FromNkey(user.GetSeed())) } });
        await RefusedAsync(new NatsOpts { Url = server.Url, AuthOpts = new NatsAuthOpts { NKey = stranger.GetPublicKey(), Seed = stranger.GetSeed() } });
        await RefusedAsync(new NatsOpts { Url = server.Url, AuthOpts = new NatsAuthOpts { NKey = user.GetPublicKey(), Seed = stranger.GetSeed() } });
        File.Delete(file);
    }

    [Fact]
    public async Task Credentials_by_file_text_and_jwt()
    {
        using var op = KeyPair.CreatePair(PrefixByte.Operator);
        using var account = KeyPair.CreatePair(PrefixByte.Account);
        using var user = KeyPair.CreatePair(PrefixByte.User);
        using var stranger = KeyPair.CreatePair(PrefixByte.Account);
        var operatorJwt = Jwt(op, op.GetPublicKey(), "op", new JsonObject { ["type"] = "operator", ["version"] = 2 });
        var accountJwt = Jwt(op, account.GetPublicKey(), "acc", new JsonObject
        {
            ["type"] = "account",
            ["version"] = 2,
            ["limits"] = new JsonObject { ["subs"] = -1, ["data"] = -1, ["payload"] = -1, ["imports"] = -1, ["exports"] = -1, ["wildcards"] = true, ["conn"] = -1, ["leaf"] = -1 },
        });
        var userClaims = () => new JsonObject { ["type"] = "user", ["version"] = 2, ["subs"] = -1, ["data"] = -1, ["payload"] = -1, ["pub"] = new JsonObject(), ["sub"] = new JsonObject() };
        var userJwt = Jwt(account, user.GetPublicKey(), "user", userClaims());
        var strangerJwt = Jwt(stranger, user.GetPublicKey(), "user", userClaims());
        await using var server = await Server.StartAsync($"operator: {operatorJwt}\nresolver: MEMORY\nresolver_preload: {{ {account.GetPublicKey()}: {accountJwt} }}");
        var creds = $"-----BEGIN NATS USER JWT-----\n{userJwt}\n------END NATS USER JWT------\n\n************************* IMPORTANT *************************\n-----BEGIN USER NKEY SEED-----\n{user.GetSeed()}\n------END USER NKEY SEED------\n";
        var file = Path.GetTempFileName();
        await File.WriteAllTextAsync(file, creds);

        await AcceptedAsync(new NatsOpts { Url = server.Url, AuthOpts = new NatsAuthOpts { CredsFile = file } });
        await AcceptedAsync(new NatsOpts { Url = server.Url, AuthOpts = new NatsAuthOpts { Creds = creds } });
        await AcceptedAsync(new NatsOpts { Url = server.Url, AuthOpts = new NatsAuthOpts { Jwt = userJwt, Seed = user.GetSeed() } });
        await AcceptedAsync(new NatsOpts { Url = server.Url, AuthOpts = new NatsAuthOpts { AuthCredCallback = (_, _) => new(NatsAuthCred.FromCredsFile(file)) } });
        await RefusedAsync(new NatsOpts { Url = server.Url, AuthOpts = new NatsAuthOpts { Jwt = strangerJwt, Seed = user.GetSeed() } });
        File.Delete(file);
    }

    [Fact]
    public async Task A_creds_file_that_is_not_there_is_named()
    {
        await using var nats = new NatsConnection(new NatsOpts { Url = "nats://127.0.0.1:1", AuthOpts = new NatsAuthOpts { CredsFile = "/nowhere/user.creds" } });

        var refused = await Assert.ThrowsAsync<NatsException>(() => nats.ConnectAsync().InTime());

        Assert.Contains("/nowhere/user.creds", refused.Message);
    }

    [Fact]
    public async Task The_same_refusal_twice_stops_the_reconnecting()
    {
        await using var server = await Server.StartAsync("authorization { user: me, password: right }");
        var password = "right";
        await using var nats = new NatsConnection(new NatsOpts
        {
            Url = server.Url,
            ReconnectWaitMin = Short,
            ReconnectWaitMax = Short,
            AuthOpts = new NatsAuthOpts { AuthCredCallback = (_, _) => new(NatsAuthCred.FromUserInfo("me", password)) },
        });
        await nats.ConnectAsync().InTime();

        password = "wrong";
        await nats.ReconnectAsync();

        await Poll.UntilAsync(() => nats.ConnectionState == NatsConnectionState.Failed);
        await Assert.ThrowsAsync<NatsConnectionFailedException>(() => nats.PublishAsync("a", "b").InTime());
    }

    [Fact]
    public async Task A_permissions_violation_is_an_event_and_leaves_the_connection_open()
    {
        await using var server = await Server.StartAsync("authorization { users: [ { user: me, password: p, permissions: { publish: \"open.>\" } } ] }");
        await using var nats = new NatsConnection(new NatsOpts { Url = server.Url, AuthOpts = new NatsAuthOpts { Username = "me", Password = "p" } });
        var violation = new TaskCompletionSource<NatsServerErrorEventArgs>(TaskCreationOptions.RunContinuationsAsynchronously);
        nats.ServerError += (_, args) =>
        {
            violation.TrySetResult(args);
            return default;
        };
        await nats.ConnectAsync().InTime();

        await nats.PublishAsync("closed.door", "x");

        var args = await violation.Task.InTime();
        Assert.Equal(NatsServerErrorKind.PermissionsViolation, args.Kind);
        Assert.Contains("closed.door", args.Error);
        await nats.PingAsync().InTime();
        Assert.Equal(NatsConnectionState.Open, nats.ConnectionState);
    }

    [Fact]
    public void Key_text_form_is_the_published_one()
    {
        // The pair from the documentation of nats-io/nkeys.
        using var pair = KeyPair.FromSeed("SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY");

        Assert.Equal("UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4", pair.GetPublicKey());
        Assert.Equal("SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY", pair.GetSeed());
    }

    [Fact]
    public void A_signature_is_verified_and_a_changed_message_is_not()
    {
        using var pair = KeyPair.CreatePair(PrefixByte.Account);
        var message = Encoding.UTF8.GetBytes("message");
        var signature = new byte[64];
        pair.Sign(message, signature);
        using var verifier = KeyPair.FromPublicKey(pair.GetPublicKey());

        Assert.True(verifier.Verify(message, signature));
        Assert.False(verifier.Verify(Encoding.UTF8.GetBytes("massage"), signature));
        Assert.StartsWith("SA", pair.GetSeed());
        Assert.StartsWith("A", pair.GetPublicKey());
    }

    [Theory]
    [InlineData("SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VX")]
    [InlineData("UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4")]
    [InlineData("S")]
    [InlineData("not base32!")]
    public void A_damaged_seed_is_refused(string seed) => Assert.ThrowsAny<Exception>(() => KeyPair.FromSeed(seed));

    private static async Task AcceptedAsync(NatsOpts opts)
    {
        await using var nats = new NatsConnection(opts);
        await nats.ConnectAsync().InTime();
        await nats.PingAsync().InTime();
    }

    private static async Task RefusedAsync(NatsOpts opts)
    {
        await using var nats = new NatsConnection(opts);
        var refused = await Assert.ThrowsAsync<NatsException>(() => nats.ConnectAsync().InTime());
        Assert.True(Assert.IsType<NatsServerException>(refused.InnerException).IsAuthError);
    }

    // What nsc writes: claims signed by the issuer's key, with their own hash as id.
    private static string Jwt(KeyPair issuer, string subject, string name, JsonObject nats)
    {
        var claims = new JsonObject { ["iat"] = 1700000000, ["iss"] = issuer.GetPublicKey(), ["name"] = name, ["nats"] = nats, ["sub"] = subject };
        claims["jti"] = Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(claims.ToJsonString())));
        var body = Base64Url("""{"typ":"JWT","alg":"ed25519-nkey"}""") + "." + Base64Url(claims.ToJsonString());
        var signature = new byte[64];
        issuer.Sign(Encoding.ASCII.GetBytes(body), signature);
        return body + "." + System.Buffers.Text.Base64Url.EncodeToString(signature);
    }

    private static string Base64Url(string text) => System.Buffers.Text.Base64Url.EncodeToString(Encoding.UTF8.GetBytes(text));
}
