package reading

import (
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// Bounds of a page: error pages say what they say early.
const (
	maxHTMLTokens = 20000
	maxHTMLBlocks = 64
	maxHTMLText   = 16 << 10
)

// Page is what a person would see of an HTML body.
type Page struct {
	Title string
	// Blocks are the pieces of visible text in order, with line breaks kept.
	Blocks []Block
	// Marks are the class and id names met, for readers to recognise a page by.
	Marks string
}

// Block is the text of one block element.
type Block struct {
	// Tag is the innermost element of note: h1..h6, p, pre, div, td...
	Tag  string
	Text string
}

// invisible elements hold no text for people.
var invisible = map[atom.Atom]bool{
	atom.Script: true, atom.Style: true, atom.Noscript: true, atom.Template: true, atom.Svg: true,
	atom.Textarea: true, atom.Select: true, atom.Iframe: true, atom.Object: true, atom.Math: true,
}

// blocks are the elements that end a piece of text.
var blocks = map[atom.Atom]bool{
	atom.P: true, atom.Div: true, atom.H1: true, atom.H2: true, atom.H3: true, atom.H4: true, atom.H5: true, atom.H6: true,
	atom.Pre: true, atom.Td: true, atom.Th: true, atom.Tr: true, atom.Table: true, atom.Li: true, atom.Ul: true, atom.Ol: true,
	atom.Center: true, atom.Address: true, atom.Hr: true, atom.Section: true, atom.Article: true, atom.Header: true,
	atom.Footer: true, atom.Main: true, atom.Body: true, atom.Blockquote: true, atom.Dl: true, atom.Dt: true, atom.Dd: true,
	atom.Title: true, atom.Head: true, atom.Html: true, atom.Form: true, atom.Fieldset: true,
}

// parseHTML reads a page in one pass of a tokenizer, without building a tree.
func parseHTML(text string) *Page {
	z := html.NewTokenizer(strings.NewReader(text))
	z.SetMaxBuf(1 << 20)
	page := &Page{}
	var current strings.Builder
	var marks strings.Builder
	tag, hidden, total := "", 0, 0
	flush := func(next string) {
		t := inlineTags.ReplaceAllString(trimBlock(current.String()), "")
		current.Reset()
		if t != "" {
			if tag == "title" {
				if page.Title == "" {
					page.Title = t
				}
			} else if len(page.Blocks) < maxHTMLBlocks {
				page.Blocks = append(page.Blocks, Block{tag, t})
			}
		}
		tag = next
	}
	for range maxHTMLTokens {
		kind := z.Next()
		if kind == html.ErrorToken {
			break
		}
		switch kind {
		case html.TextToken:
			if hidden == 0 && total < maxHTMLText {
				raw := z.Text()
				raw = raw[:min(len(raw), maxHTMLText-total)]
				total += len(raw)
				current.Write(raw)
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			name, hasAttr := z.TagName()
			a := atom.Lookup(name)
			for hasAttr && marks.Len() < 4096 {
				var key, val []byte
				key, val, hasAttr = z.TagAttr()
				if k := string(key); k == "class" || k == "id" {
					marks.WriteByte(' ')
					marks.Write(val[:min(len(val), 64)])
				}
			}
			switch {
			case a == atom.Br:
				current.WriteByte('\n')
			case invisible[a]:
				if kind == html.StartTagToken {
					hidden++
				}
			case blocks[a]:
				flush(a.String())
			}
		case html.EndTagToken:
			name, _ := z.TagName()
			a := atom.Lookup(name)
			switch {
			case invisible[a]:
				hidden = max(0, hidden-1)
			case blocks[a]:
				flush("")
			}
		}
	}
	flush("")
	page.Marks = marks.String()
	return page
}

// inlineTags are markup within text: werkzeug escapes that of its own sentences.
var inlineTags = regexp.MustCompile(`</?(?:code|b|i|em|strong|tt|br|span)\s*/?>`)

// trimBlock turns a block's text into lines without surplus space.
func trimBlock(s string) string {
	if strings.TrimSpace(s) == "" {
		return ""
	}
	s = strings.ReplaceAll(s, "\u00a0", " ")
	lines := strings.Split(s, "\n")
	out := lines[:0]
	for _, l := range lines {
		if l = strings.Join(strings.Fields(l), " "); l != "" {
			out = append(out, l)
		}
	}
	return strings.Join(out, "\n")
}

// First returns the first block of one of the tags.
func (p *Page) First(tags ...string) string {
	for _, b := range p.Blocks {
		if slices.Contains(tags, b.Tag) {
			return b.Text
		}
	}
	return ""
}
