using RuleEngineNats.TestKit;

namespace RuleEngineNats.Receiver;

/// <summary>The text of <c>--help</c>.</summary>
internal static class Help
{
    public const string Text = """
        ./run receiver [OPTION ...]   an HTTP endpoint to try webhooks on: it answers as told, checks signatures, and prints a line for each request.

          --script PATH=SCRIPT     how a path answers; may be given several times. PATH * is every other path. Without one a path answers 200.
          --secret [PATH=]SECRET   checks Standard Webhooks signatures (v1, any of several, timestamp within 5 minutes) with whsec_...; @FILE reads it from
                                   a file. Without PATH it is for every path that has none of its own. Given twice for a path, either secret will do.
          --strict                 answers 401 to what does not verify; without it the verdict is only shown
          --port N                 8090; 0 takes any that is free
          --address IP             127.0.0.1; with 0.0.0.0 other machines reach it too, and may change its scripts
          --silent-port N          a second port that takes connections and never says a word: an https endpoint whose handshake does not come
          --keep N                 1000: requests that GET /_log can show, up to 100000
          --help

        While it runs:

          GET /_log?last=N         the last requests as JSON (100): id, attempt, path, verdict of the signature, size, answer. No bodies, no secrets.
          GET /_script             the scripts
          POST /_script            changes some: {"/orders": "500x3,200"}, as application/json; they begin anew

        Examples:

          ./run receiver --script "/orders=500x3,200" --secret whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw
          ./run receiver --script "/slow=delay:29s,200" --script "/dead=drop" --script "/bomb=bomb:1GiB"
          ./run receiver --script "/redir=302:http://169.254.169.254/" --script "/limit=429x2;retry-after=7,200"


        """ + ReceiverScript.Syntax;
}
