package readers

import (
	"strings"

	"github.com/ainative/portcullis/plugins/problem/internal/reading"
)

// fhirReader reads the OperationOutcome of HL7 FHIR, in JSON and XML
// (https://hl7.org/fhir/operationoutcome.html).
var fhirReader = reader{"fhir", func(d *reading.Document) (reading.Finding, bool) {
	var f reading.Finding
	var msgs []string
	add := func(text, code string, expression []string) {
		text = firstTelling(text, code)
		msgs = append(msgs, text)
		var loc []any
		if len(expression) > 0 {
			// XPath before R5: /f:Patient/f:name
			loc = reading.ParseLoc(strings.ReplaceAll(strings.TrimPrefix(expression[0], "/f:"), "/f:", "."))
		}
		f.Fields = append(f.Fields, reading.FieldError{Loc: loc, Msg: text, Type: reading.TypeWord(code)})
	}
	switch {
	case d.JSON.Text("resourceType") == "OperationOutcome":
		for _, issue := range d.JSON.Get("issue").Items() {
			text := issue.At("details").Text("text")
			if text == "" {
				text = issue.Text("diagnostics")
			}
			if text == "" {
				for _, c := range issue.At("details", "coding").Items() {
					text = c.Text("display")
				}
			}
			var expression []string
			for _, key := range []string{"expression", "location"} {
				for _, e := range issue.Get(key).Items() {
					expression = append(expression, e.String())
				}
			}
			add(text, issue.Text("code"), expression)
		}
	case d.XML != nil && d.XML.Name == "OperationOutcome":
		for _, issue := range d.XML.All("issue") {
			text := issue.Child("details").Child("text").Value()
			if text == "" {
				text = issue.Child("diagnostics").Value()
			}
			var expression []string
			for _, e := range append(issue.All("expression"), issue.All("location")...) {
				expression = append(expression, e.Value())
			}
			add(text, issue.Child("code").Value(), expression)
		}
	default:
		return reading.Finding{}, false
	}
	f.Message = reading.JoinMessages(msgs)
	return f, true
}}
