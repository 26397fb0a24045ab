package problem

// jsonAPIReader reads JSON:API error documents (https://jsonapi.org/format/#errors).
var jsonAPIReader = reader{"jsonapi", func(d *Document) (Finding, bool) {
	errs := d.JSON.get("errors").items()
	if len(errs) == 0 {
		return Finding{}, false
	}
	signed := d.JSON.has("jsonapi")
	var f Finding
	var msgs []string
	for _, e := range errs {
		if !e.isObject() || e.has("message") || e.has("msg") || e.has("defaultMessage") {
			return Finding{}, false
		}
		if !e.has("source") && !e.has("status") && !e.has("detail") && !e.has("title") {
			return Finding{}, false
		}
		signed = signed || e.get("source").isObject() || e.get("status").is(jsonString) || e.has("title") || e.has("detail")
		// `detail` is of this occurrence, `title` of the kind of error.
		text := e.text("detail")
		if isBlank(text) {
			text = e.text("title")
		}
		if isBlank(text) {
			text = e.text("code")
		}
		msgs = append(msgs, text)
		item := FieldError{Loc: itemLoc(e), Msg: text, Type: defaultType}
		if w := typeWord(e.text("code")); w != "" {
			item.Type = w
		}
		if src := e.get("source"); src != nil && len(item.Loc) == 0 {
			item.Loc = []any{"body"}
		}
		f.Fields = append(f.Fields, item)
	}
	if !signed {
		return Finding{}, false
	}
	if !located(f.Fields) {
		f.Fields = nil
	}
	f.Message = joinMessages(msgs)
	return f, true
}}
