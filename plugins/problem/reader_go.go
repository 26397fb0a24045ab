package problem

import "regexp"

// goReader reads what gin, echo and fiber send when go-playground/validator
// refuses: one line for each field, in a string or as text.
//
//	Key: 'CreateUser.Email' Error:Field validation for 'Email' failed on the 'required' tag
var goReader = reader{"go", func(d *Document) (Finding, bool) {
	text := ""
	if d.JSON == nil {
		text = d.Text
	} else {
		d.JSON.anyString(func(s string) bool { text = s; return goTag.MatchString(s) })
	}
	m := goTag.FindAllStringSubmatch(text[:min(len(text), 32<<10)], maxFields)
	if m == nil {
		return Finding{}, false
	}
	var f Finding
	for _, one := range m {
		// The first element is the name of the struct.
		f.Fields = append(f.Fields, FieldError{Loc: parseLoc(one[1]), Msg: one[2], Type: typeWord(one[3])})
	}
	f.Message = summary(f.Fields)
	return f, true
}}

var goTag = regexp.MustCompile(`Key: '(?:[^'.]*\.)?([^']*)' Error:(Field validation for '[^']*' failed on the '([^']*)' tag)`)
