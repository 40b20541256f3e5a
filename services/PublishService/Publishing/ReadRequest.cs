using RuleEngineNats.Contracts;
using RuleEngineNats.Contracts.Publishing;

namespace RuleEngineNats.PublishService.Publishing;

/// <summary>Checks a request on its own, without any configuration. All problems are found at once.</summary>
internal static class ReadRequest
{
    /// <returns>The headers of the event, or the problems.</returns>
    public static (IReadOnlyList<KeyValuePair<string, string>> Headers, List<FieldProblem>? Problems) Read(PublishRequest request, int maxBodyBytes)
    {
        List<FieldProblem>? problems = null;
        CheckTarget(request, ref problems);
        if (PayloadRules.Check(request.Payload.Span, maxBodyBytes) is { } payload)
        {
            var fix = request.Payload.Length > maxBodyBytes ? "; publish a reference to the data, or raise Messaging:MaxBodyBytes" : string.Empty;
            Add(ref problems, new FieldProblem("payload", Code(payload.Kind), payload + fix, payload.Kind == PayloadProblemKind.TooLarge));
        }

        if (request.MessageId.Length > 0 && MessageIdRules.Check(request.MessageId) is { } id)
        {
            Add(ref problems, new FieldProblem("message_id", "MESSAGE_ID_INVALID", id.ToString()));
        }

        if (request.Durability is < Durability.Unspecified or > Durability.History)
        {
            Add(ref problems, new FieldProblem("durability", "DURABILITY_UNKNOWN", $"durability: {(int)request.Durability} is none of its values"));
        }

        return (Headers(request, ref problems), problems);
    }

    private static void CheckTarget(PublishRequest request, ref List<FieldProblem>? problems)
    {
        switch (request.TargetCase)
        {
            case PublishRequest.TargetOneofCase.WebhookId when request.WebhookId < 1:
                Add(ref problems, new FieldProblem("webhook_id", "WEBHOOK_ID_INVALID", $"webhook_id: {request.WebhookId}, must be 1 or greater"));
                break;
            case PublishRequest.TargetOneofCase.WebhookName when request.WebhookName.Length == 0:
                Add(ref problems, new FieldProblem("webhook_name", "WEBHOOK_NAME_INVALID", "webhook_name: empty"));
                break;
            case PublishRequest.TargetOneofCase.Subject when SubjectRules.Check(request.Subject, allowWildcards: false) is { } subject:
                Add(ref problems, new FieldProblem("subject", "SUBJECT_INVALID", subject.ToString()));
                break;
            case PublishRequest.TargetOneofCase.None:
                Add(ref problems, new FieldProblem("target", "TARGET_MISSING", "target: one of webhook_id, webhook_name and subject is required"));
                break;
            default:
                break;
        }
    }

    private static KeyValuePair<string, string>[] Headers(PublishRequest request, ref List<FieldProblem>? problems)
    {
        if (request.Headers.Count == 0)
        {
            return [];
        }

        var headers = new KeyValuePair<string, string>[request.Headers.Count];
        for (var index = 0; index < headers.Length; index++)
        {
            headers[index] = new(request.Headers[index].Name, request.Headers[index].Value);
        }

        if (HeaderRules.Check(headers) is { } problem)
        {
            var tooLarge = problem.Kind is HeaderProblemKind.TooMany or HeaderProblemKind.TooLarge;
            var text = problem.ToString();
            Add(ref problems, new FieldProblem(text[..text.IndexOf(": ", StringComparison.Ordinal)], Code(problem.Kind), text, tooLarge));
        }

        return headers;
    }

    private static string Code(PayloadProblemKind kind) => kind switch
    {
        PayloadProblemKind.Empty => "PAYLOAD_EMPTY",
        PayloadProblemKind.TooLarge => "PAYLOAD_TOO_LARGE",
        _ => "PAYLOAD_INVALID",
    };

    private static string Code(HeaderProblemKind kind) => kind switch
    {
        HeaderProblemKind.Reserved => "HEADER_RESERVED",
        HeaderProblemKind.Duplicate => "HEADER_DUPLICATE",
        HeaderProblemKind.TooMany or HeaderProblemKind.TooLarge => "HEADERS_TOO_LARGE",
        _ => "HEADER_INVALID",
    };

    private static void Add(ref List<FieldProblem>? problems, FieldProblem problem) => (problems ??= []).Add(problem);
}
