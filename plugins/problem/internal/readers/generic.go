package readers

import (
	"strings"

	"github.com/ainative/portcullis/plugins/problem/internal/reading"
)

// genericJSONReader reads any other JSON: it looks for a message and for field
// errors where people put them.
var genericJSONReader = reader{"json", func(d *reading.Document) (reading.Finding, bool) {
	if d.JSON == nil {
		return reading.Finding{}, false
	}
	f, _ := envelopeFinding(d)
	if d.JSON.Is(reading.Array) {
		f.Fields = listedFields(d.JSON)
	}
	// A list of texts beside the message says what the message is about.
	if f.Fields == nil && d.JSON.IsObject() {
		for _, key := range []string{"errors", "details", "errorMessages", "messages", "errorCauses", "causes", "problems"} {
			var msgs []string
			for _, v := range d.JSON.Get(key).Items() {
				if v.Is(reading.String) {
					msgs = append(msgs, v.Str)
				} else if s := reading.ItemMessage(v); s != "" {
					msgs = append(msgs, s)
				}
			}
			if list := joinTelling(d.Status, msgs); list != "" && !strings.Contains(f.Message, list) {
				f.Message = reading.Compose(d.Status, f.Message, list)
				break
			}
		}
	}
	return f, true
}}

// genericXMLReader reads any other XML: the text of the first element that is
// called a message, or of the root.
var genericXMLReader = reader{"xml", func(d *reading.Document) (reading.Finding, bool) {
	if d.XML == nil {
		return reading.Finding{}, false
	}
	for _, name := range []string{"detail", "message", "error_description", "errorMessage", "error-message", "faultstring", "description", "reason", "text", "msg", "title", "error", "summary", "h1", "value", "ExceptionText", "code"} {
		var msgs []string
		for _, e := range siblings(d.XML, name) {
			if s := e.Value(); !reading.IsBlank(s) {
				msgs = append(msgs, s)
			}
		}
		if len(msgs) > 0 {
			return reading.Finding{Message: joinTelling(d.Status, msgs)}, true
		}
	}
	for _, name := range []string{"message", "msg", "description", "detail", "error", "reason", "text"} {
		for _, a := range d.XML.Attrs {
			if strings.EqualFold(a.Name.Local, name) && !reading.IsBlank(a.Value) {
				return reading.Finding{Message: a.Value}, true
			}
		}
	}
	if s := d.XML.Content(); !reading.IsBlank(s) || len(d.XML.Children) == 0 {
		return reading.Finding{Message: s}, true
	}
	// No element is called a message: they may be called as the fields are.
	return reading.Finding{Instead: d.AsJSON()}, true
}}

// siblings returns the elements of a name that say something and stand under one
// parent, the first such in document order.
func siblings(e *reading.Element, name string) []*reading.Element {
	if strings.EqualFold(e.Name, name) && !reading.IsBlank(e.Value()) {
		return []*reading.Element{e}
	}
	var out []*reading.Element
	for _, c := range e.Children {
		if strings.EqualFold(c.Name, name) && !reading.IsBlank(c.Value()) && len(out) < reading.MaxMessages {
			out = append(out, c)
		}
	}
	for _, c := range e.Children {
		if len(out) > 0 {
			break
		}
		out = siblings(c, name)
	}
	return out
}

// genericPageReader reads any other page: the headline, and the first sentence
// below it.
var genericPageReader = reader{"html", func(d *reading.Document) (reading.Finding, bool) {
	if d.Page == nil {
		return reading.Finding{}, false
	}
	return reading.Finding{Message: reading.PageMessage(d.Status, d.Page)}, true
}}
