package readers

import (
	"regexp"

	"github.com/ainative/portcullis/plugins/problem/internal/reading"
)

// goReader reads what gin, echo and fiber send when go-playground/validator
// refuses: one line for each field, in a string or as text.
//
//	Key: 'CreateUser.Email' Error:Field validation for 'Email' failed on the 'required' tag
var goReader = reader{"go", func(d *reading.Document) (reading.Finding, bool) {
	text := ""
	if d.JSON == nil {
		text = d.Text
	} else {
		d.JSON.AnyString(func(s string) bool { text = s; return goTag.MatchString(s) })
	}
	m := goTag.FindAllStringSubmatch(text[:min(len(text), 32<<10)], reading.MaxFields)
	if m == nil {
		return reading.Finding{}, false
	}
	var fields []reading.FieldError
	for _, one := range m {
		// The first element is the name of the struct.
		fields = append(fields, reading.FieldError{Loc: reading.ParseLoc(one[1]), Msg: one[2], Type: reading.TypeWord(one[3])})
	}
	return fieldsFinding(fields), true
}}

var goTag = regexp.MustCompile(`Key: '(?:[^'.]*\.)?([^']*)' Error:(Field validation for '[^']*' failed on the '([^']*)' tag)`)
