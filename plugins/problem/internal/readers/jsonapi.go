package readers

import "github.com/ainative/portcullis/plugins/problem/internal/reading"

// jsonAPIReader reads JSON:API error documents (https://jsonapi.org/format/#errors).
var jsonAPIReader = reader{"jsonapi", func(d *reading.Document) (reading.Finding, bool) {
	errs := d.JSON.Get("errors").Items()
	if len(errs) == 0 {
		return reading.Finding{}, false
	}
	signed := d.JSON.Has("jsonapi")
	var f reading.Finding
	var msgs []string
	for _, e := range errs {
		if !e.IsObject() || e.Has("message") || e.Has("msg") || e.Has("defaultMessage") {
			return reading.Finding{}, false
		}
		if !e.Has("source") && !e.Has("status") && !e.Has("detail") && !e.Has("title") {
			return reading.Finding{}, false
		}
		signed = signed || e.Get("source").IsObject() || e.Get("status").Is(reading.String) || e.Has("title") || e.Has("detail")
		// `detail` is of this occurrence, `title` of the kind of error.
		text := firstTelling(e.Text("detail"), e.Text("title"), e.Text("code"))
		msgs = append(msgs, text)
		item := reading.FieldError{Loc: reading.ItemLoc(e), Msg: text, Type: reading.DefaultType}
		if w := reading.TypeWord(e.Text("code")); w != "" {
			item.Type = w
		}
		if src := e.Get("source"); src != nil && len(item.Loc) == 0 {
			item.Loc = []any{"body"}
		}
		f.Fields = append(f.Fields, item)
	}
	if !signed {
		return reading.Finding{}, false
	}
	f.Message = reading.JoinMessages(msgs)
	return f, true
}}
