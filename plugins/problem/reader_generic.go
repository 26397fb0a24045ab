package problem

import "strings"

// genericJSONReader reads any other JSON: it looks for a message and for field
// errors where people put them.
var genericJSONReader = reader{"json", func(d *Document) (Finding, bool) {
	if d.JSON == nil {
		return Finding{}, false
	}
	f, _ := envelopeFinding(d)
	if f.Fields == nil && d.JSON.is(jsonArray) {
		if list := fieldList(d.JSON, nil); located(list) {
			f.Fields = list
		}
	}
	// A list of texts beside the message says what the message is about.
	if f.Fields == nil && d.JSON.isObject() {
		for _, key := range []string{"errors", "details", "errorMessages", "messages", "errorCauses", "causes", "problems"} {
			var msgs []string
			for _, v := range d.JSON.get(key).items() {
				if v.is(jsonString) {
					msgs = append(msgs, v.str)
				} else if s := itemMessage(v); s != "" {
					msgs = append(msgs, s)
				}
			}
			if list := joinMessages(humanizeAll(d.Status, msgs)); list != "" && !strings.Contains(f.Message, list) {
				f.Message = compose(d.Status, f.Message, list)
				break
			}
		}
	}
	return f, true
}}

// genericXMLReader reads any other XML: the text of the first element that is
// called a message, or of the root.
var genericXMLReader = reader{"xml", func(d *Document) (Finding, bool) {
	if d.XML == nil {
		return Finding{}, false
	}
	for _, name := range []string{"detail", "message", "error_description", "errorMessage", "error-message", "faultstring", "description", "reason", "text", "msg", "title", "error", "summary", "h1", "value", "ExceptionText", "code"} {
		var msgs []string
		for _, e := range siblings(d.XML, name) {
			if s := e.value(); !isBlank(s) {
				msgs = append(msgs, s)
			}
		}
		if len(msgs) > 0 {
			return Finding{Message: joinMessages(humanizeAll(d.Status, msgs))}, true
		}
	}
	for _, name := range []string{"message", "msg", "description", "detail", "error", "reason", "text"} {
		for _, a := range d.XML.attrs {
			if strings.EqualFold(a.Name.Local, name) && !isBlank(a.Value) {
				return Finding{Message: a.Value}, true
			}
		}
	}
	if s := d.XML.content(); !isBlank(s) || len(d.XML.children) == 0 {
		return Finding{Message: s}, true
	}
	// No element is called a message: they may be called as the fields are.
	return Finding{Instead: d.asJSON()}, true
}}

// siblings returns the elements of a name that say something and stand under one
// parent, the first such in document order.
func siblings(e *Element, name string) []*Element {
	if strings.EqualFold(e.name, name) && !isBlank(e.value()) {
		return []*Element{e}
	}
	var out []*Element
	for _, c := range e.children {
		if strings.EqualFold(c.name, name) && !isBlank(c.value()) && len(out) < maxMessages {
			out = append(out, c)
		}
	}
	for _, c := range e.children {
		if len(out) > 0 {
			break
		}
		out = siblings(c, name)
	}
	return out
}

// genericPageReader reads any other page: the headline, and the first sentence
// below it.
var genericPageReader = reader{"html", func(d *Document) (Finding, bool) {
	if d.Page == nil {
		return Finding{}, false
	}
	return Finding{Message: pageMessage(d.Status, d.Page)}, true
}}
