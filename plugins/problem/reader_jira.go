package problem

// jiraReader reads Jira and its kin: {"errorMessages": ["..."], "errors": {"summary": "..."}},
// where errorMessages are about the whole input and errors about its fields.
var jiraReader = reader{"jira", func(d *Document) (Finding, bool) {
	if !d.JSON.get("errorMessages").is(jsonArray) || !d.JSON.get("errors").isObject() {
		return Finding{}, false
	}
	var f Finding
	var msgs []string
	for _, m := range d.JSON.get("errorMessages").vals {
		if s := m.string(); !isBlank(s) {
			msgs = append(msgs, s)
			f.Fields = append(f.Fields, FieldError{Msg: s, Type: defaultType})
		}
	}
	f.Fields = fieldMap(d.JSON.get("errors"), nil, f.Fields)
	if !located(f.Fields) {
		f.Fields = nil
	}
	f.Message = joinMessages(humanizeAll(d.Status, msgs))
	return f, true
}}
