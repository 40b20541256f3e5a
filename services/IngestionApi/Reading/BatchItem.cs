using System.Buffers;

namespace RuleEngineNats.IngestionApi.Reading;

/// <summary>What is at one place of a batch.</summary>
internal enum BatchItemKind
{
    /// <summary>A document, as far as can be told from where it ends.</summary>
    Document,

    /// <summary>A line with nothing but white space.</summary>
    Blank,

    /// <summary>Something longer than the limit, which was passed over.</summary>
    TooLong,

    /// <summary>A last line without a newline: it may have been cut off.</summary>
    Last,

    /// <summary>What is there of an element, where the array ends without a bracket.</summary>
    Unclosed,

    /// <summary>The body is to be a JSON array and does not begin as one.</summary>
    NoArray,

    /// <summary>Something behind the end of the array.</summary>
    AfterArray,
}

/// <summary>One line or array element of a batch.</summary>
/// <param name="Line">Its number, from 1; blank lines count.</param>
/// <param name="Kind">What it is.</param>
/// <param name="Bytes">The document; valid until the reader goes on.</param>
internal readonly record struct BatchItem(int Line, BatchItemKind Kind, ReadOnlySequence<byte> Bytes);

/// <summary>Cuts what has arrived of a batch into its items. It keeps what it has looked at already, and never the bytes.</summary>
internal interface ISplitBatch
{
    /// <summary>Takes the next item off the front.</summary>
    /// <param name="arrived">What has arrived and was not taken; what was taken or passed over is cut off.</param>
    /// <param name="isEnd">Whether nothing follows it.</param>
    /// <param name="item">The item.</param>
    /// <returns>False: more bytes are needed, or there is no further item.</returns>
    public bool TryTake(ref ReadOnlySequence<byte> arrived, bool isEnd, out BatchItem item);
}
