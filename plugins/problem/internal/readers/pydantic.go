package readers

import "github.com/ainative/portcullis/plugins/problem/internal/reading"

// pydanticReader reads pydantic's errors where they are not under `detail`: a
// bare list, or under "errors", "validation_error" or "message". Flask-pydantic
// and Litestar's "extra" are such.
var pydanticReader = reader{"pydantic", func(d *reading.Document) (reading.Finding, bool) {
	list := pydanticList(d.JSON, 0)
	if list == nil {
		return reading.Finding{}, false
	}
	return fieldsFinding(listedFields(list)), true
}}

// pydanticList finds a list of {"loc": [...], "msg": ...}.
func pydanticList(n *reading.Node, depth int) *reading.Node {
	switch {
	case n == nil || depth > 3:
	case n.Is(reading.Array):
		for _, v := range n.Vals {
			if !v.Has("loc", "msg") {
				return nil
			}
		}
		if len(n.Vals) > 0 {
			return n
		}
	case n.IsObject():
		for _, v := range n.Vals {
			if found := pydanticList(v, depth+1); found != nil {
				return found
			}
		}
	}
	return nil
}
