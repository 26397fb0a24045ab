package readers

import (
	"slices"
	"strings"

	"github.com/ainative/portcullis/plugins/problem/internal/reading"
)

// symfonyReader reads Symfony, API Platform and FOSRestBundle: violations with
// a propertyPath, {"errors": {"children": ...}}, {"hydra:description": ...}.
var symfonyReader = reader{"symfony", func(d *reading.Document) (reading.Finding, bool) {
	switch {
	case d.Page != nil:
		// The page of production: "An Error Occurred: Not Found".
		text, ok := strings.CutPrefix(d.Page.Title, "An Error Occurred: ")
		return reading.Finding{Message: text}, ok
	case d.JSON.Has("hydra:description"), d.JSON.Has("hydra:title"):
		message := firstTelling(d.JSON.Text("hydra:description"), d.JSON.Text("hydra:title"))
		return reading.Finding{Message: message, Fields: reading.FieldsOf(d.JSON)}, true
	case d.JSON.Get("violations").Is(reading.Array):
		return envelopeFinding(d)
	case d.JSON.At("errors", "children").IsObject():
		return reading.Finding{Message: d.JSON.Text("message"), Fields: formTree(d.JSON.Get("errors"), nil, nil)}, true
	case d.JSON.Get("class").Is(reading.String) && d.JSON.Has("trace"):
		return reading.Finding{Message: d.JSON.Text("detail")}, true
	case d.JSON.At("error", "exception").Is(reading.Array):
		// Symfony 3: {"error": {"code", "message", "exception": [...]}}
		return reading.Finding{Message: strings.TrimSpace(d.JSON.At("error").Text("message"))}, true
	}
	return reading.Finding{}, false
}}

// formTree reads a form's errors: {"errors": ["text"], "children": {"name": {...}}}.
func formTree(n *reading.Node, at []any, out []reading.FieldError) []reading.FieldError {
	if len(at) > reading.MaxLocDepth || len(out) >= reading.MaxFields {
		return out
	}
	for _, e := range n.Get("errors").Items() {
		if s := e.String(); !reading.IsBlank(s) {
			out = append(out, reading.FieldError{Loc: at, Msg: s, Type: reading.DefaultType})
		}
	}
	if children := n.Get("children"); children.IsObject() {
		for i, key := range children.Keys {
			out = formTree(children.Vals[i], reading.AppendLoc(slices.Clip(at), key), out)
		}
	}
	return out
}
