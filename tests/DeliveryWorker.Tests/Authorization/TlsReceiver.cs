using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;
using RuleEngineNats.TestKit;

namespace RuleEngineNats.DeliveryWorker.Tests.Authorization;

/// <summary>An https endpoint that lets nobody in without a certificate of its authority, and keeps who came.</summary>
internal sealed class TlsReceiver : IAsyncDisposable
{
    private readonly ConcurrentQueue<string> _subjects = new();
    private readonly WebApplication _app;

    private TlsReceiver(WebApplication app, int port) => (_app, Port) = (app, port);

    public int Port { get; }

    public IEnumerable<string> Subjects => _subjects;

    public string Url => string.Create(CultureInfo.InvariantCulture, $"https://127.0.0.1:{Port}/");

    public static async Task<TlsReceiver> StartAsync(TestAuthority authority)
    {
        var port = Ports.Free();
        var builder = WebApplication.CreateSlimBuilder();
        builder.Configuration.Sources.Clear();
        builder.Configuration.AddInMemoryCollection();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, port, listen => listen.UseHttps(https =>
        {
            https.ServerCertificate = X509CertificateLoader.LoadPkcs12(authority.Issue("receiver").Export(X509ContentType.Pkcs12), null);
            https.ClientCertificateMode = ClientCertificateMode.RequireCertificate;
            https.ClientCertificateValidation = (certificate, _, _) => certificate.Issuer == authority.Name;
        })));
        var receiver = new TlsReceiver(builder.Build(), port);
        receiver._app.Run(context =>
        {
            receiver._subjects.Enqueue(context.Connection.ClientCertificate!.Subject);
            return Task.CompletedTask;
        });
        await receiver._app.StartAsync();
        return receiver;
    }

    public async ValueTask DisposeAsync() => await _app.DisposeAsync();
}
