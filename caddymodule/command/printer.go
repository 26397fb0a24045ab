package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// printer writes to the operator's terminal. Paths, headers, claims and names come
// from strangers, and a terminal obeys what it is sent (CWE-150): a path with
// escape sequences could clear the screen or forge a line. So the commands print
// through a printer alone, and it writes no text that does not print as itself.
type printer struct {
	w io.Writer
	// err is the first failure to write. Nothing is written after it.
	err error
}

// word is text that stands between other words of a line: it is quoted where it
// has a space too, since it could pass for the words that follow.
type word string

// phrase is text that is printable already.
type phrase string

// part is a phrase with a value in it, or nothing where there is no value.
func part[T comparable](format string, value T) phrase {
	var none T
	if value == none {
		return ""
	}
	return phrase(fmt.Sprintf(format, printable(value)))
}

// sentence puts phrases together.
func sentence(parts ...phrase) phrase {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(string(p))
	}
	return phrase(b.String() + ".")
}

// linef prints a line. Arguments that don't print as themselves are quoted.
func (p *printer) linef(format string, args ...any) {
	shown := make([]any, len(args))
	for i, arg := range args {
		shown[i] = printable(arg)
	}
	p.write(fmt.Sprintf(format+"\n", shown...))
}

// fields prints a record, one field a line. width is that of the names.
func (p *printer) fields(width int, fields [][2]string) {
	for _, f := range fields {
		p.linef("%-*s %s", width, f[0], f[1])
	}
}

// table prints rows in columns.
func (p *printer) table(head []string, rows [][]string) {
	var text bytes.Buffer
	w := tabwriter.NewWriter(&text, 0, 4, 2, ' ', 0)
	for _, row := range append([][]string{head}, rows...) {
		for i, cell := range row {
			if row[i] = quoted(cell, false); i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, row[i])
		}
		fmt.Fprintln(w)
	}
	_ = w.Flush()
	p.write(text.String())
}

// json prints JSON that is indented by two spaces.
func (p *printer) json(raw json.RawMessage) {
	var text bytes.Buffer
	if p.err == nil {
		p.err = json.Indent(&text, raw, "", "  ")
	}
	p.write(escapeJSON(text.String()) + "\n")
}

// jsonLine prints JSON on one line, for programs that read while it comes.
func (p *printer) jsonLine(raw json.RawMessage) { p.linef("%s", raw) }

func (p *printer) write(text string) {
	if p.err == nil {
		_, p.err = io.WriteString(p.w, text)
	}
}

// printable is a value as it may be printed. What is not text is not touched.
func printable(arg any) any {
	switch arg := arg.(type) {
	case phrase:
		return escaped(string(arg))
	case word:
		return quoted(string(arg), true)
	case json.RawMessage:
		var compact bytes.Buffer
		if json.Compact(&compact, arg) != nil {
			return quoted(string(arg), false)
		}
		return escapeJSON(compact.String())
	case error:
		return quoted(arg.Error(), false)
	case fmt.Stringer:
		return quoted(arg.String(), false)
	}
	if v := reflect.ValueOf(arg); v.Kind() == reflect.String {
		return quoted(v.String(), false)
	}
	return arg
}

// quoted is text as it is where each character prints as itself, else quoted as in
// Go. So is text with a gap, which looks like the end of a column, and a word that
// has a space or could be taken for a quoted one.
func quoted(text string, oneWord bool) string {
	if strings.ContainsFunc(text, hidden) || !utf8.ValidString(text) || strings.Contains(text, "  ") || strings.Trim(text, " ") != text ||
		oneWord && (strings.Contains(text, " ") || strings.HasPrefix(text, `"`)) {
		return quote(text)
	}
	return text
}

// quote is strconv.Quote, which alone would leave letters and marks that show
// nothing as they are.
func quote(text string) string { return escaped(strconv.Quote(text)) }

// escaped is text with escapes in place of what does not print as itself, for the
// sentences of errors.
func escaped(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case !hidden(r):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// escapeJSON writes what does not print as itself as escapes of JSON, and the
// characters that encoding/json escapes for HTML as themselves. Outside of strings
// JSON has neither.
func escapeJSON(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == '\\' && i+1 < len(text):
			size = 2
			switch html := map[string]string{`\u003c`: "<", `\u003e`: ">", `\u0026`: "&"}[text[i:min(len(text), i+6)]]; html {
			case "":
				b.WriteString(text[i : i+size])
			default:
				size = 6
				b.WriteString(html)
			}
		case r != '\n' && hidden(r), r == utf8.RuneError && size == 1:
			b.WriteString(escape(r))
		default:
			b.WriteString(text[i : i+size])
		}
		i += size
	}
	return b.String()
}

// escape is a character as JSON writes it, in UTF-16.
func escape(r rune) string {
	var b strings.Builder
	for _, unit := range utf16.AppendRune(nil, r) {
		fmt.Fprintf(&b, `\u%04x`, unit)
	}
	return b.String()
}

// hidden reports whether a character is a control, sets the direction of text, or
// shows nothing: all that Go does not call printable, and what Unicode says to
// ignore where it can't be shown (UAX 44, Default_Ignorable_Code_Point).
func hidden(r rune) bool {
	return !strconv.IsPrint(r) || unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) ||
		r == '\u2800' // Braille without a dot
}
