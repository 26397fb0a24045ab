package accounts

import (
	"maps"
	"slices"
	"strconv"
	"time"
)

// Reject says that a field is wrong.
func (b *Body) Reject(name, msg, kind string) {
	b.wrong = append(b.wrong, Field{Loc: []any{"body", name}, Msg: msg, Type: kind})
}

// Only refuses every field but these: what an operator misspells must not be
// passed over.
func (b *Body) Only(names ...string) {
	for _, name := range slices.Sorted(maps.Keys(b.fields)) {
		if !slices.Contains(names, name) {
			b.Reject(clip(name), "extra fields not permitted", "value_error.extra")
		}
	}
}

// Refusal is what is wrong with the fields that were asked for; nil if nothing is.
func (b *Body) Refusal() *Refusal {
	if len(b.wrong) == 0 {
		return nil
	}
	return Wrong(b.wrong...)
}

// present finds a field; null counts as absent where the field is optional.
func (b *Body) present(name string, required bool) (value, bool) {
	v, there := b.fields[name]
	switch {
	case !there && required:
		b.Reject(name, "field required", "value_error.missing")
	case there && v.kind == kindNull && required:
		b.Reject(name, "none is not an allowed value", "type_error.none.not_allowed")
	}
	return v, there && v.kind != kindNull
}

// Text reads a text that must be there; "" where it is wrong.
func (b *Body) Text(name string) string {
	v, ok := b.present(name, true)
	return b.textOf(name, v, ok)
}

// OptionalText reads a text that may be missing.
func (b *Body) OptionalText(name string) (text string, given bool) {
	v, ok := b.present(name, false)
	return b.textOf(name, v, ok), ok
}

func (b *Body) textOf(name string, v value, ok bool) string {
	if ok && v.kind != kindText {
		b.Reject(name, "str type expected", "type_error.str")
	}
	return v.text
}

// OptionalInt reads a whole number from least to most.
func (b *Body) OptionalInt(name string, least, most int) (n int, given bool) {
	v, ok := b.present(name, false)
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(v.text)
	switch {
	case v.kind != kindNumber || err != nil:
		b.Reject(name, "value is not a valid integer", "type_error.integer")
	case n < least:
		b.Reject(name, "ensure this value is greater than or equal to "+strconv.Itoa(least), "value_error.number.not_ge")
	case n > most:
		b.Reject(name, "ensure this value is less than or equal to "+strconv.Itoa(most), "value_error.number.not_le")
	}
	return n, true
}

// OptionalTime reads a time, RFC 3339.
func (b *Body) OptionalTime(name string) (t time.Time, given bool) {
	v, ok := b.present(name, false)
	if !ok {
		return t, false
	}
	t, err := time.Parse(time.RFC3339, v.text)
	if v.kind != kindText || err != nil {
		b.Reject(name, "invalid datetime format", "value_error.datetime")
	}
	return t, true
}

// OptionalTexts reads a list of texts.
func (b *Body) OptionalTexts(name string) (texts []string, given bool) {
	v, ok := b.present(name, false)
	if !ok {
		return nil, false
	}
	if v.kind != kindList {
		b.Reject(name, "value is not a valid list", "type_error.list")
		return nil, true
	}
	if len(v.list) > maxElements {
		b.Reject(name, "ensure this value has at most "+strconv.Itoa(maxElements)+" items", "value_error.list.max_items")
		return nil, true
	}
	texts = []string{}
	for i, element := range v.list {
		if element.kind != kindText {
			b.wrong = append(b.wrong, Field{Loc: []any{"body", name, i}, Msg: "str type expected", Type: "type_error.str"})
			continue
		}
		texts = append(texts, element.text)
	}
	return texts, true
}
