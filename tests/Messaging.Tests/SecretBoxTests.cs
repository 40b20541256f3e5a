using Microsoft.Extensions.Options;
using Xunit;

namespace RuleEngineNats.Messaging.Tests;

public sealed class SecretBoxTests
{
    private const string Canary = "whsec_canary ✓";

    private static readonly string One = Convert.ToBase64String([.. Enumerable.Repeat((byte)1, 32)]);
    private static readonly string Two = Convert.ToBase64String([.. Enumerable.Repeat((byte)2, 32)]);
    private static readonly SecretPlace Place = SecretPlace.OfWebhook(1, "signing");

    [Fact]
    public void What_is_encrypted_is_decrypted_and_never_looks_the_same_twice()
    {
        var box = Box("one", ("one", One));
        var (first, second) = (box.Encrypt(Place, Canary), box.Encrypt(Place, Canary));
        Assert.NotEqual(first, second);
        Assert.Equal((Canary, null), box.Decrypt(Place, "one", first));
        Assert.Equal((Canary, null), Box("two", ("one", One), ("two", Two)).Decrypt(Place, "one", second));
        // Nonce, text and tag.
        Assert.Equal(12 + System.Text.Encoding.UTF8.GetByteCount(Canary) + 16, Convert.FromBase64String(first).Length);
    }

    [Fact]
    public void Plain_text_is_left_as_it_is() => Assert.Equal((Canary, null), Box(null).Decrypt(Place, null, Canary));

    [Theory]
    [InlineData(1, "signing-previous")]
    [InlineData(2, "signing")]
    public void A_ciphertext_that_was_moved_is_no_secret(int webhook, string name)
    {
        var box = Box("one", ("one", One));
        var (plain, problem) = box.Decrypt(SecretPlace.OfWebhook(webhook, name), "one", box.Encrypt(Place, Canary));
        Assert.Null(plain);
        Assert.Equal($"secret {name} of webhook {webhook} cannot be decrypted with key one: this service has another key of that name, or the row was altered", problem);
    }

    [Fact]
    public void A_key_that_is_missing_or_wrong_is_named_and_nothing_else_is()
    {
        var stored = Box("one", ("one", One)).Encrypt(Place, Canary);
        Assert.Equal(
            (null, "secret signing of webhook 1 is encrypted under key one, which is not in Secrets:Keys of this service"), Box("two", ("two", Two)).Decrypt(Place, "one", stored));
        Assert.StartsWith("secret signing of webhook 1 cannot be decrypted with key one", Box("one", ("one", Two)).Decrypt(Place, "one", stored).Problem, StringComparison.Ordinal);
        Assert.StartsWith("secret signing of webhook 1 cannot be decrypted with key one", Box("one", ("one", One)).Decrypt(Place, "one", "AAAA").Problem, StringComparison.Ordinal);
        Assert.StartsWith("secret signing of webhook 1 cannot be decrypted with key one", Box("one", ("one", One)).Decrypt(Place, "one", "no base64!").Problem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("one", "one", "c2hvcnQ=", "Secrets:Keys:one: must be the base64 of 32 bytes")]
    [InlineData("one", "one", "no base64!", "Secrets:Keys:one: must be the base64 of 32 bytes")]
    [InlineData("one", "a b", null, "Secrets:Keys:a b: the name must have 1 to 64 characters of [A-Za-z0-9_-]")]
    [InlineData("two", "one", null, "Secrets:ActiveKey: there is no key two in Secrets:Keys")]
    public void Keys_that_cannot_be_are_refused_at_start(string active, string id, string? key, string failure)
    {
        var options = new SecretsOptions { ActiveKey = active };
        options.Keys[id] = key ?? One;
        var result = new SecretsOptionsRules().Validate(null, options);
        Assert.Contains(result.Failures!, text => text.StartsWith(failure, StringComparison.Ordinal));
        Assert.DoesNotContain(options.Keys[id], string.Join(' ', result.Failures!), StringComparison.Ordinal);
    }

    [Fact]
    public void A_key_of_43_letters_and_digits_and_an_equals_sign_is_one()
    {
        var options = new SecretsOptions { ActiveKey = "main" };
        options.Keys["main"] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPz=";
        Assert.True(new SecretsOptionsRules().Validate(null, options).Succeeded);
    }

    private static SecretBox Box(string? active, params (string Id, string Key)[] keys)
    {
        var options = new SecretsOptions { ActiveKey = active };
        foreach (var (id, key) in keys)
        {
            options.Keys[id] = key;
        }

        return new SecretBox(Options.Create(options));
    }
}
