package reading

import "github.com/ainative/portcullis/plugins/internal/jsontext"

// SetNumber sets a member of the JSON object in text, which is valid, to a number
// and leaves every other byte as it was. It reports false where the member is that
// number already.
func SetNumber(text, member, number string) (out []byte, changed bool) {
	p := jsonParser{Scanner: jsontext.Scanner{Src: text, LoneSurrogates: true}}
	found, copied, end := false, 0, 0
	for more := !p.Open('}'); more; {
		name, ok := p.name()
		if !ok {
			return nil, false
		}
		start := p.Pos
		if _, ok := p.value(1); !ok {
			return nil, false
		}
		if end = p.Pos; name == member {
			found = true
			if text[start:end] != number {
				out = append(append(out, text[copied:start]...), number...)
				copied, changed = end, true
			}
		}
		if more, ok = p.Next('}'); !ok {
			return nil, false
		}
	}
	if !found {
		out = append(out, text[:end]...)
		out = append(out, `,"`+member+`":`...)
		out = append(out, number...)
		copied, changed = end, true
	}
	return append(out, text[copied:]...), changed
}
