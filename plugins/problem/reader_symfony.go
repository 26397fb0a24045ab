package problem

import "slices"

import "strings"

// symfonyReader reads Symfony, API Platform and FOSRestBundle: violations with
// a propertyPath, {"errors": {"children": ...}}, {"hydra:description": ...}.
var symfonyReader = reader{"symfony", func(d *Document) (Finding, bool) {
	switch {
	case d.Page != nil:
		// The page of production: "An Error Occurred: Not Found".
		text, ok := strings.CutPrefix(d.Page.Title, "An Error Occurred: ")
		return Finding{Message: text}, ok
	case d.JSON.has("hydra:description"), d.JSON.has("hydra:title"):
		f := Finding{Message: d.JSON.text("hydra:description"), Fields: fieldsOf(d.JSON)}
		if isBlank(f.Message) {
			f.Message = d.JSON.text("hydra:title")
		}
		return f, true
	case d.JSON.get("violations").is(jsonArray):
		return envelopeFinding(d)
	case d.JSON.at("errors", "children").isObject():
		f := Finding{Message: d.JSON.text("message"), Fields: formTree(d.JSON.get("errors"), nil, nil)}
		if !located(f.Fields) {
			f.Fields = nil
		}
		return f, true
	case d.JSON.get("class").is(jsonString) && d.JSON.has("trace"):
		return Finding{Message: d.JSON.text("detail")}, true
	case d.JSON.at("error", "exception").is(jsonArray):
		// Symfony 3: {"error": {"code", "message", "exception": [...]}}
		return Finding{Message: strings.TrimSpace(d.JSON.at("error").text("message"))}, true
	}
	return Finding{}, false
}}

// formTree reads a form's errors: {"errors": ["text"], "children": {"name": {...}}}.
func formTree(n *Node, at []any, out []FieldError) []FieldError {
	if len(at) > maxLocDepth || len(out) >= maxFields {
		return out
	}
	for _, e := range n.get("errors").items() {
		if s := e.string(); !isBlank(s) {
			out = append(out, FieldError{Loc: at, Msg: s, Type: defaultType})
		}
	}
	if children := n.get("children"); children.isObject() {
		for i, key := range children.keys {
			out = formTree(children.vals[i], appendLoc(slices.Clip(at), key), out)
		}
	}
	return out
}
