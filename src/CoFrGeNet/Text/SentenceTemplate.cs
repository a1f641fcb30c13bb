using System.Text;

namespace CoFrGeNet.Text;

/// <summary>
/// What is left of a documentation text when its names and numbers are put aside. Documentation is written from templates
/// ("Initializes a new instance of the X class."), and two texts of one template are nearly one text to a language model.
/// </summary>
internal static class SentenceTemplate
{
    /// <summary>
    /// The text with every number as '#' and every name as '@'; a name is a word with a capital or an underscore after its first
    /// character, or with a dot inside.
    /// </summary>
    public static string Of(string text)
    {
        var template = new StringBuilder(text.Length);
        for (var i = 0; i < text.Length;)
        {
            if (!IsWordPart(text[i]))
            {
                template.Append(text[i++]);
                continue;
            }

            var start = i;
            while (i < text.Length && (IsWordPart(text[i]) || (text[i] == '.' && i + 1 < text.Length && IsWordPart(text[i + 1]))))
            {
                i++;
            }

            AppendWord(template, text.AsSpan(start, i - start));
        }

        return template.ToString();
    }

    private static bool IsWordPart(char c) => char.IsLetterOrDigit(c) || c == '_';

    private static void AppendWord(StringBuilder template, ReadOnlySpan<char> word)
    {
        foreach (var c in word[1..])
        {
            if (char.IsUpper(c) || c is '_' or '.')
            {
                template.Append('@');
                return;
            }
        }

        foreach (var c in word)
        {
            if (!char.IsDigit(c))
            {
                template.Append(c);
            }
            else if (template.Length == 0 || template[^1] != '#')
            {
                template.Append('#');
            }
        }
    }
}
