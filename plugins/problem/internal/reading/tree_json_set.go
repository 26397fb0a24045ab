package reading

// SetNumber sets a member of the JSON object in text, which is valid, to a number
// and leaves every other byte as it was. It reports false where the member is that
// number already.
func SetNumber(text, member, number string) (out []byte, changed bool) {
	p := jsonParser{s: text, i: 1} // behind the brace
	found, copied := false, 0
	for {
		p.space()
		if p.i >= len(text) || text[p.i] != '"' {
			return nil, false
		}
		key, ok := p.string()
		if !ok {
			return nil, false
		}
		p.space()
		p.i++ // the colon
		p.space()
		start := p.i
		if _, ok := p.value(1); !ok {
			return nil, false
		}
		if key == member {
			found = true
			if text[start:p.i] != number {
				out = append(append(out, text[copied:start]...), number...)
				copied, changed = p.i, true
			}
		}
		end := p.i
		if p.space(); p.i >= len(text) {
			return nil, false
		}
		if text[p.i] == ',' {
			p.i++
			continue
		}
		if !found {
			out = append(out, text[:end]...)
			out = append(out, `,"`+member+`":`...)
			out = append(out, number...)
			copied, changed = end, true
		}
		return append(out, text[copied:]...), changed
	}
}
