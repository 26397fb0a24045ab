package problem

// pydanticReader reads pydantic's errors where they are not under `detail`: a
// bare list, or under "errors", "validation_error" or "message". Flask-pydantic
// and Litestar's "extra" are such.
var pydanticReader = reader{"pydantic", func(d *Document) (Finding, bool) {
	list := pydanticList(d.JSON, 0)
	if list == nil {
		return Finding{}, false
	}
	fields := fieldList(list, nil)
	f := Finding{Fields: fields, Message: summary(fields)}
	if !located(fields) {
		f.Fields = nil
	}
	return f, true
}}

// pydanticList finds a list of {"loc": [...], "msg": ...}.
func pydanticList(n *Node, depth int) *Node {
	switch {
	case n == nil || depth > 3:
	case n.is(jsonArray):
		for _, v := range n.vals {
			if !v.has("loc", "msg") {
				return nil
			}
		}
		if len(n.vals) > 0 {
			return n
		}
	case n.isObject():
		for _, v := range n.vals {
			if found := pydanticList(v, depth+1); found != nil {
				return found
			}
		}
	}
	return nil
}
