// Package reading turns the text of an error body into a bounded tree and finds in it
// what all readers look for: the message for people, and the field errors.
package reading

import (
	"net/http"
	"strings"
)

// Document is a decoded error body, with what it turned out to be. Exactly one
// of JSON, XML and Page is set for a structured body, and none for plain text.
type Document struct {
	Status int
	Header http.Header
	// Text is the body as UTF-8, without surrounding space.
	Text string
	JSON *Node
	XML  *Element
	Page *Page
	// Broken says that Text looks like JSON or XML but is not: cut off, or
	// written by hand.
	Broken bool
	// Partial says that JSON does not hold every value: there are too many.
	Partial bool
}

// xssiPrefixes are put before JSON against script inclusion.
var xssiPrefixes = []string{")]}',", ")]}'", "while(1);", "for(;;);"}

// NewDocument finds out what a text is, by its content.
func NewDocument(status int, h http.Header, text string) *Document {
	d := &Document{Status: status, Header: h, Text: strings.Trim(text, " \t\r\n\x00")}
	body := d.Text
	for _, prefix := range xssiPrefixes {
		if rest, ok := strings.CutPrefix(body, prefix); ok {
			body = strings.TrimSpace(rest)
			break
		}
	}
	if body == "" {
		return d
	}
	switch body[0] {
	case '{', '[', '"':
		n, whole, ok := ParseJSON(body)
		if !ok {
			d.Broken = body[0] != '"'
			return d
		}
		d.JSON, d.Partial = n, !whole
	case '<':
		d.markup(body)
	default:
		// true, null and numbers are scalars that no text starts with.
		if n, _, ok := ParseJSON(body); ok {
			d.JSON = n
		} else if looksLikeMarkup(body) {
			d.Page = parseHTML(body)
		}
	}
	return d
}

func (d *Document) markup(body string) {
	if !looksLikeHTML(body) {
		if x, ok := parseXML(body); ok {
			if !strings.EqualFold(x.Name, "html") {
				d.XML = x
				return
			}
		} else if strings.HasPrefix(body, "<?xml") {
			d.Broken = true
			return
		}
	}
	d.Page = parseHTML(body)
}

// looksLikeHTML reports whether markup is a page rather than XML.
func looksLikeHTML(body string) bool {
	head := strings.ToLower(body[:min(len(body), 512)])
	return strings.Contains(head, "<!doctype html") || strings.Contains(head, "<html") ||
		strings.HasPrefix(head, "<h1") || strings.HasPrefix(head, "<p>") || strings.HasPrefix(head, "<pre") ||
		strings.HasPrefix(head, "<br") || strings.HasPrefix(head, "<div") || strings.HasPrefix(head, "<title") ||
		strings.HasPrefix(head, "<!--") || strings.HasPrefix(head, "<b>") || strings.HasPrefix(head, "<center")
}

// looksLikeMarkup spots pages with something before them: PHP warnings, blanks.
func looksLikeMarkup(body string) bool {
	head := strings.ToLower(body[:min(len(body), 2048)])
	for _, tag := range []string{"<html", "<!doctype", "<body", "<br />", "<br/>", "<br>", "</p>", "</h1>", "</div>", "</pre>"} {
		if strings.Contains(head, tag) {
			return true
		}
	}
	return false
}

// Header returns the first value of a header in any spelling.
func Header(h http.Header, canonical string) string {
	if v := h[canonical]; len(v) > 0 {
		return strings.TrimSpace(v[0])
	}
	for name, v := range h {
		if len(v) > 0 && strings.EqualFold(name, canonical) {
			return strings.TrimSpace(v[0])
		}
	}
	return ""
}
