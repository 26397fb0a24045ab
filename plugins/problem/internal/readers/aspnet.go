package readers

import (
	"regexp"

	"github.com/ainative/portcullis/plugins/problem/internal/reading"
)

// aspNetReader reads ValidationProblemDetails of ASP.NET Core, the ModelState of
// Web API 2, and the latter's {"Message", "ExceptionMessage", "StackTrace"}.
var aspNetReader = reader{"aspnet", func(d *reading.Document) (reading.Finding, bool) {
	fields := d.JSON.Get("errors")
	switch {
	case d.JSON.Get("ModelState").IsObject():
		fields = d.JSON.Get("ModelState")
	case d.JSON.Has("ExceptionType") || d.JSON.Has("StackTrace", "Message"):
	case d.JSON.Has("title") && fields.IsObject():
	case d.JSON.Has("traceId", "title"):
	default:
		return reading.Finding{}, false
	}
	f := reading.Finding{Title: d.JSON.Text("title"), Type: d.JSON.Text("type")}
	if fields.IsObject() && reading.IsFieldMap(fields) {
		f.Fields = reading.FieldMap(fields, nil, nil)
		for i := range f.Fields {
			f.Fields[i].Msg = clrType.ReplaceAllString(f.Fields[i].Msg, "")
		}
		if !reading.Located(f.Fields) {
			f.Message = reading.Summary(f.Fields)
			f.Fields = nil
		}
	}
	if f.Message == "" {
		f.Message = reading.MessageOf(d.Status, d.JSON)
	}
	return f, true
}}

// clrType matches what System.Text.Json and Newtonsoft say of the class inside.
var clrType = regexp.MustCompile(` (?:for|to) (?:(?:object of )?type ['"][\w.` + "`" + `\[\]+, =]+['"]|System\.[\w.]*\w(?:` + "`" + `\d\[[\w.,+ \[\]]*\])?)`)
