using System.Text;
using System.Xml;

namespace CoFrGeNet.Text;

/// <summary>
/// Takes the prose out of an XML documentation file: the summaries and remarks of its members without markup. References become
/// short names (<c>M:System.String.Format(System.String)</c> is "String.Format"), language words and code stay as text,
/// paragraphs and list items are lines, other white space is a single space.
/// </summary>
internal sealed class DocumentationProse
{
    private readonly StringBuilder _text = new();
    private int _codeDepth;

    /// <summary>Reads a file's texts in their order.</summary>
    /// <returns>For each text the name of its member, for example "T:System.String", and the text.</returns>
    /// <exception cref="XmlException">The file is not well-formed.</exception>
    public static List<(string Member, string Text)> Read(string path)
    {
        var settings = new XmlReaderSettings
        {
            IgnoreComments = true,
            IgnoreProcessingInstructions = true,
            DtdProcessing = DtdProcessing.Ignore,
        };
        using var reader = XmlReader.Create(path, settings);
        var prose = new DocumentationProse();
        var texts = new List<(string, string)>();
        var member = "";
        while (reader.Read())
        {
            if (reader.NodeType != XmlNodeType.Element)
            {
                continue;
            }

            if (reader.Name == "member")
            {
                member = reader.GetAttribute("name") ?? "";
            }
            else if (reader.Name is "summary" or "remarks" && prose.ReadElement(reader) is { Length: > 0 } text)
            {
                texts.Add((member, text));
            }
        }

        return texts;
    }

    /// <summary>The short name of a documentation reference.</summary>
    /// <param name="reference">For example "M:System.Collections.Generic.List`1.Add(`0)".</param>
    /// <returns>For example "List.Add".</returns>
    public static string ShortName(string reference)
    {
        var kind = reference.Length > 1 && reference[1] == ':' ? reference[0] : 'T';
        var name = kind == reference[0] && reference.Length > 1 && reference[1] == ':' ? reference[2..] : reference;
        name = name.Split('(', '?')[0];
        if (kind == 'N')
        {
            return name;
        }

        var parts = name.Replace("%60", "`", StringComparison.Ordinal).Split('.', StringSplitOptions.RemoveEmptyEntries);
        for (var i = 0; i < parts.Length; i++)
        {
            parts[i] = parts[i].Split('`', '{')[0].Replace('#', '.');
        }

        if (parts.Length < 2 || kind is 'T' or '!')
        {
            return parts.Length == 0 ? "" : parts[^1];
        }

        return parts[^1] is ".ctor" or ".cctor" ? parts[^2] : $"{parts[^2]}.{parts[^1]}";
    }

    private string ReadElement(XmlReader reader)
    {
        _text.Clear();
        _codeDepth = 0;
        if (reader.IsEmptyElement)
        {
            return "";
        }

        var depth = reader.Depth;
        while (reader.Read() && reader.Depth > depth)
        {
            switch (reader.NodeType)
            {
                case XmlNodeType.Element:
                    StartElement(reader);
                    break;
                case XmlNodeType.EndElement:
                    EndElement(reader.Name);
                    break;
                case XmlNodeType.Text or XmlNodeType.CDATA or XmlNodeType.Whitespace or XmlNodeType.SignificantWhitespace:
                    AppendText(reader.Value);
                    break;
                default:
                    break;
            }
        }

        return _text.ToString().Trim();
    }

    private void StartElement(XmlReader reader)
    {
        if (reader.Name is "script" or "style")
        {
            // Leaves the reader on the end of the element, which the caller's Read then steps over.
            SkipContent(reader);
            return;
        }

        if (IsBlock(reader.Name))
        {
            NewLine();
        }

        if (reader.Name == "code" && !reader.IsEmptyElement)
        {
            _codeDepth++;
        }

        if (reader.IsEmptyElement)
        {
            AppendText(Reference(reader));
        }
    }

    private void EndElement(string name)
    {
        _codeDepth -= name == "code" ? 1 : 0;
        if (IsBlock(name))
        {
            NewLine();
        }
        else if (name == "term" && _text.Length > 0 && _text[^1] is not ('\n' or ':'))
        {
            _text.Append(": ");
        }
    }

    private static void SkipContent(XmlReader reader)
    {
        var depth = reader.Depth;
        while (!reader.IsEmptyElement && reader.Read() && reader.Depth > depth)
        {
        }
    }

    private static string Reference(XmlReader reader)
    {
        if (reader.GetAttribute("cref") is { Length: > 0 } reference)
        {
            return ShortName(reference);
        }

        return reader.Name == "xref" && reader.GetAttribute("href") is { Length: > 0 } identifier
            ? ShortName(identifier)
            : reader.GetAttribute("langword") ?? reader.GetAttribute("name") ?? "";
    }

    private static bool IsBlock(string name) =>
        name is "para" or "p" or "br" or "item" or "listheader" or "li" or "list" or "ul" or "ol" or "div" or "example" or "tr";

    private void AppendText(string value)
    {
        foreach (var c in value)
        {
            if (!char.IsWhiteSpace(c))
            {
                _text.Append(c);
            }
            else if (c == '\n' && _codeDepth > 0)
            {
                NewLine();
            }
            else if (_text.Length > 0 && _text[^1] is not (' ' or '\n'))
            {
                _text.Append(' ');
            }
        }
    }

    private void NewLine()
    {
        while (_text.Length > 0 && _text[^1] == ' ')
        {
            _text.Length--;
        }

        if (_text.Length > 0 && _text[^1] != '\n')
        {
            _text.Append('\n');
        }
    }
}
