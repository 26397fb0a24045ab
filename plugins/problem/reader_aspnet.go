package problem

import "regexp"

// aspNetReader reads ValidationProblemDetails of ASP.NET Core, the ModelState of
// Web API 2, and the latter's {"Message", "ExceptionMessage", "StackTrace"}.
var aspNetReader = reader{"aspnet", func(d *Document) (Finding, bool) {
	fields := d.JSON.get("errors")
	switch {
	case d.JSON.get("ModelState").isObject():
		fields = d.JSON.get("ModelState")
	case d.JSON.has("ExceptionType") || d.JSON.has("StackTrace", "Message"):
	case d.JSON.has("title") && fields.isObject():
	case d.JSON.has("traceId", "title"):
	default:
		return Finding{}, false
	}
	f := Finding{Title: d.JSON.text("title"), Type: d.JSON.text("type")}
	if fields.isObject() && isFieldMap(fields) {
		f.Fields = fieldMap(fields, nil, nil)
		for i := range f.Fields {
			f.Fields[i].Msg = clrType.ReplaceAllString(f.Fields[i].Msg, "")
		}
		if !located(f.Fields) {
			f.Message = summary(f.Fields)
			f.Fields = nil
		}
	}
	if f.Message == "" {
		f.Message = messageOf(d.Status, d.JSON)
	}
	return f, true
}}

// clrType matches what System.Text.Json and Newtonsoft say of the class inside.
var clrType = regexp.MustCompile(` (?:for|to) (?:(?:object of )?type ['"][\w.` + "`" + `\[\]+, =]+['"]|System\.[\w.]*\w(?:` + "`" + `\d\[[\w.,+ \[\]]*\])?)`)
