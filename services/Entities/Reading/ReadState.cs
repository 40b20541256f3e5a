using System.Text;

namespace RuleEngineNats.Entities.Reading;

/// <summary>What one reading has at hand. It is used again for the next document of the same root.</summary>
internal sealed class ReadState
{
    private readonly RootPlan _plan;
    private readonly List<Violation> _violations = [];
    private bool _more;
    private int _rowCount;

    public ReadState(RootPlan plan)
    {
        _plan = plan;
        Slots = [.. plan.Frames.Select(frame => new Token[frame.Properties.Length])];
        Values = [.. plan.Entities.Select(entity => new EntityValue[entity.Fields.Length])];
        Present = new bool[plan.Entities.Length];
        Rows = [.. plan.Entities.Select(entity => new RowBuffer(entity.RowFields.Length))];
        var depths = plan.Frames.Max(frame => frame.Depth) + 1;
        Objects = new Token[depths];
        Items = new int[depths];
    }

    /// <summary>By frame: the properties found in its object.</summary>
    public Token[][] Slots { get; }

    /// <summary>By entity: the values of its fields, of the last one read.</summary>
    public EntityValue[][] Values { get; }

    /// <summary>By entity: whether there is one in what is being read.</summary>
    public bool[] Present { get; }

    public RowBuffer[] Rows { get; }

    /// <summary>By depth: the object that is being read.</summary>
    public Token[] Objects { get; }

    /// <summary>By depth: which item of its list it is.</summary>
    public int[] Items { get; }

    public bool Full => _rowCount >= EntityLimits.RowsPerDocument;

    /// <summary>As many violations as are listed: whoever sends millions of bad items gets no millions of messages, nor the work of making them.</summary>
    public bool Capped => _violations.Count >= EntityLimits.Violations;

    public (int Listed, bool More) Mark => (_violations.Count, _more);

    public void Rollback((int Listed, bool More) mark)
    {
        _violations.RemoveRange(mark.Listed, _violations.Count - mark.Listed);
        _more = mark.More;
    }

    public void Add(EntityPlan entity)
    {
        _rowCount++;
        if (entity.Table is not null)
        {
            Rows[entity.Index].Add(Values[entity.Index], entity.RowFields);
        }
    }

    public void Violate(string code, string field, string message, string? limit, string fix)
    {
        if (Capped)
        {
            _more = true;
            return;
        }

        // Each item of a list may read what is around the list; it is wrong once.
        var violation = new Violation(code, field, message, limit, fix);
        if (!_violations.Contains(violation))
        {
            _violations.Add(violation);
        }
    }

    /// <summary>The path of a field from the document on, such as <c>line_items[2].quantity</c>.</summary>
    public string Path(FramePlan frame, string field)
    {
        var text = new StringBuilder();
        AppendPath(text, frame);
        return (text.Length == 0 ? text : field.Length == 0 ? text : text.Append('.')).Append(field).ToString();
    }

    public EntityReading Finish()
    {
        var entity = _plan.Entity;
        if (_violations.Count > 0)
        {
            List<Violation> violations = [.. _violations];
            if (_more || Capped)
            {
                violations.Add(new(ViolationCodes.More, "$", "there may be more", $"{EntityLimits.Violations}", "correct those listed and try again"));
            }

            return new(entity, [], violations);
        }

        var rows = new List<EntityRows>(_plan.Stored.Length);
        foreach (var plan in _plan.Stored)
        {
            if (Rows[plan.Index].Count > 0)
            {
                rows.Add(new(plan.Table!, Rows[plan.Index].Count, Rows[plan.Index].ToArray()));
            }
        }

        return new(entity, rows, []);
    }

    /// <summary>Forgets the document, which the values point into.</summary>
    public void Clear()
    {
        _violations.Clear();
        (_more, _rowCount) = (false, 0);
        foreach (var slots in Slots)
        {
            Array.Clear(slots);
        }

        foreach (var values in Values)
        {
            Array.Clear(values);
        }

        foreach (var rows in Rows)
        {
            rows.Clear();
        }

        Array.Clear(Objects);
    }

    private void AppendPath(StringBuilder text, FramePlan frame)
    {
        if (frame.Parent is null)
        {
            return;
        }

        AppendPath(text, frame.Parent);
        (text.Length == 0 ? text : text.Append('.')).Append(frame.ListPath).Append('[').Append(Items[frame.Depth]).Append(']');
    }
}

/// <summary>Rows of one table, in one array.</summary>
internal sealed class RowBuffer(int width)
{
    private EntityValue[] _values = new EntityValue[width * 4];

    public int Count { get; private set; }

    public void Add(EntityValue[] fields, int[] chosen)
    {
        var start = Count * width;
        if (start + width > _values.Length)
        {
            Array.Resize(ref _values, _values.Length * 2);
        }

        for (var index = 0; index < chosen.Length; index++)
        {
            _values[start + index] = fields[chosen[index]];
        }

        Count++;
    }

    public EntityValue[] ToArray() => _values.AsSpan(0, Count * width).ToArray();

    public void Clear()
    {
        // A document with thousands of lines must not keep its memory from others.
        if (_values.Length > width * 64)
        {
            _values = new EntityValue[width * 4];
        }

        Array.Clear(_values, 0, Math.Min(Count * width, _values.Length));
        Count = 0;
    }
}
