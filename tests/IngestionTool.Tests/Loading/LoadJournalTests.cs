using System.Text;
using RuleEngineNats.IngestionTool.Input;
using RuleEngineNats.IngestionTool.Loading;
using Xunit;

namespace RuleEngineNats.IngestionTool.Tests.Loading;

public sealed class LoadJournalTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("journal-").FullName;

    private LoadOptions Options => new("f", InputFormat.Ndjson) { State = At("state"), Rejected = At("rejected"), Ids = At("ids") };

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void What_is_behind_the_state_is_not_counted_and_goes()
    {
        using (var journal = Open())
        {
            Add(journal, 1);
            journal.Save();
        }

        // As a process leaves it that is killed between the files and the state.
        foreach (var file in (string[])["rejected", "ids", "state.batches"])
        {
            File.AppendAllText(At(file), "half a line");
        }

        File.WriteAllText(At("state.new"), "{");
        using (var journal = Open())
        {
            Assert.Equal((1, 2, 20), (journal.State.Portions, journal.State.Lines, journal.State.Offset));
            Add(journal, 3);
            journal.Save();
            Assert.Equal(["batch1", "batch3"], journal.BatchIds());
        }

        Assert.Equal(["1\tid1", "3\tid3"], File.ReadAllLines(At("ids")));
        Assert.Equal(["{\"line\":2,\"code\":\"invalid_json\",\"text\":\"x2\"}", "{\"line\":4,\"code\":\"invalid_json\",\"text\":\"x4\"}"], File.ReadAllLines(At("rejected")));
    }

    [Fact]
    public void Totals_go_on()
    {
        for (var line = 1; line < 20; line += 2)
        {
            using var journal = Open();
            Add(journal, line);
            journal.Save();
        }

        using var last = Open();
        Assert.Equal((10, 10, 20), (last.State.Totals.Accepted, last.State.Totals.Rejected, last.State.Lines));
        var code = Assert.Single(last.State.Totals.RejectedByCode);
        Assert.Equal(("invalid_json", 10), (code.Key, code.Value.Count));
        Assert.Equal([2, 4, 6, 8, 10], code.Value.Lines);
    }

    [Fact]
    public void A_restart_forgets_and_keeps_the_rejected_lines_of_before_beside()
    {
        using (var journal = Open())
        {
            Add(journal, 1);
            journal.Save();
        }

        using (var journal = LoadJournal.Open(Options with { Restart = true }, Wanted(), TimeProvider.System))
        {
            Assert.Equal((0, 0), (journal.State.Lines, journal.State.Totals.Accepted));
            Assert.Empty(journal.BatchIds());
        }

        Assert.False(File.Exists(At("rejected")));
        Assert.Single(File.ReadAllLines(At("rejected.old")));
    }

    [Fact]
    public void Two_loads_do_not_share_a_state()
    {
        using var first = Open();
        Assert.Contains("Another load", Assert.Throws<InputException>(Open).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_state_of_something_else_is_refused_with_what_to_do()
    {
        using (var journal = Open())
        {
            Add(journal, 1);
            journal.Save();
        }

        foreach (var (wanted, problem) in ((LoadState, string)[])
        [
            (Wanted() with { Content = "changed" }, "another file"),
            (Wanted() with { Reading = "--entity Order" }, "give the same options"),
            (Wanted() with { Batch = 7 }, "--batch 500"),
            (Wanted() with { Url = "http://other/" }, "--moved"),
            (Wanted() with { Client = "other" }, "--moved"),
        ])
        {
            var message = Assert.Throws<InputException>(() => LoadJournal.Open(Options, wanted, TimeProvider.System)).Message;
            Assert.Contains(problem, message, StringComparison.Ordinal);
            Assert.Contains("--restart", message, StringComparison.Ordinal);
        }

        using var moved = LoadJournal.Open(Options with { Moved = true }, Wanted() with { Url = "http://other/" }, TimeProvider.System);
        Assert.Equal((1, "http://other/"), (moved.State.Portions, moved.State.Url));
    }

    [Theory]
    [InlineData("")]
    [InlineData("null")]
    [InlineData("{\"version\":2}")]
    [InlineData("some text")]
    public void A_file_that_is_no_state_is_left_alone(string text)
    {
        File.WriteAllText(At("state"), text);
        Assert.Contains("--restart", Assert.Throws<InputException>(Open).Message, StringComparison.Ordinal);
        Assert.Equal(text, File.ReadAllText(At("state")));
    }

    private static LoadState Wanted() => new() { Content = "c", Reading = "r", Batch = 500, Url = "http://api/" };

    // A portion of two lines, of which the second is rejected.
    private static void Add(LoadJournal journal, long line)
    {
        var portion = new Portion();
        portion.Add(new(line, "{}"u8.ToArray(), 10));
        portion.Add(new(line + 1, Encoding.ASCII.GetBytes($"x{line + 1}"), 20));
        var verdicts = new PortionVerdicts(portion);
        verdicts.Read(Encoding.ASCII.GetBytes($$"""{"line":1,"status":"accepted","message_id":"id{{line}}"}"""));
        verdicts.Read("""{"line":2,"status":"rejected","code":"invalid_json"}"""u8);
        verdicts.Read(Encoding.ASCII.GetBytes($$"""{"batch_id":"batch{{line}}"}"""));
        journal.Add(portion, verdicts);
    }

    private string At(string name) => Path.Combine(_folder, name);

    private LoadJournal Open() => LoadJournal.Open(Options, Wanted(), TimeProvider.System);
}
