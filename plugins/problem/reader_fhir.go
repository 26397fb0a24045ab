package problem

import "strings"

// fhirReader reads the OperationOutcome of HL7 FHIR, in JSON and XML
// (https://hl7.org/fhir/operationoutcome.html).
var fhirReader = reader{"fhir", func(d *Document) (Finding, bool) {
	var f Finding
	var msgs []string
	add := func(text, code string, expression []string) {
		if isBlank(text) {
			text = code
		}
		msgs = append(msgs, text)
		var loc []any
		if len(expression) > 0 {
			// XPath before R5: /f:Patient/f:name
			loc = parseLoc(strings.ReplaceAll(strings.TrimPrefix(expression[0], "/f:"), "/f:", "."))
		}
		f.Fields = append(f.Fields, FieldError{Loc: loc, Msg: text, Type: typeWord(code)})
	}
	switch {
	case d.JSON.text("resourceType") == "OperationOutcome":
		for _, issue := range d.JSON.get("issue").items() {
			text := issue.at("details").text("text")
			if text == "" {
				text = issue.text("diagnostics")
			}
			if text == "" {
				for _, c := range issue.at("details", "coding").items() {
					text = c.text("display")
				}
			}
			var expression []string
			for _, key := range []string{"expression", "location"} {
				for _, e := range issue.get(key).items() {
					expression = append(expression, e.string())
				}
			}
			add(text, issue.text("code"), expression)
		}
	case d.XML != nil && d.XML.name == "OperationOutcome":
		for _, issue := range d.XML.all("issue") {
			text := issue.child("details").child("text").value()
			if text == "" {
				text = issue.child("diagnostics").value()
			}
			var expression []string
			for _, e := range append(issue.all("expression"), issue.all("location")...) {
				expression = append(expression, e.value())
			}
			add(text, issue.child("code").value(), expression)
		}
	default:
		return Finding{}, false
	}
	if !located(f.Fields) {
		f.Fields = nil
	}
	f.Message = joinMessages(msgs)
	return f, true
}}
