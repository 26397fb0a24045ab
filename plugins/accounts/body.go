package accounts

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/ainative/portcullis/plugins"
)

// MaxBody bounds the body of a request, in bytes.
const MaxBody = 64 << 10

// maxDepth bounds how deep a body may be nested: nothing that is read lies deeper
// than a list.
const maxDepth = 16

// maxElements bounds a list in a body.
const maxElements = 64

// kind is the type of a JSON value.
type kind uint8

const (
	kindNull kind = iota
	kindText
	kindNumber
	kindBool
	kindList
	kindObject
)

// value is a JSON value as far as it is of use here.
type value struct {
	kind kind
	// text is that of a text, or the literal of a number.
	text string
	// list holds the elements of a list of simple values.
	list []value
}

// Body reads the fields of a request's body and gathers what is wrong with them.
// Fields that are not asked for are ignored. Names are compared exactly.
type Body struct {
	fields map[string]value
	wrong  []Field
}

// ParseJSON reads an object. A member given twice is refused: two readers would
// take two different ones.
func ParseJSON(contentType string, body []byte) (*Body, *Refusal) {
	whole := func(msg, kind string) (*Body, *Refusal) {
		return nil, Wrong(Field{Loc: []any{"body"}, Msg: msg, Type: kind})
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return whole("field required", "value_error.missing")
	}
	if !isJSON(contentType) {
		// curl -d calls every body a form.
		return whole("value is not a valid dict: send Content-Type: application/json", "type_error.dict")
	}
	if !utf8.Valid(body) {
		return whole("body is not UTF-8", "value_error.jsondecode")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	first, err := d.Token()
	if err != nil {
		return whole("malformed JSON", "value_error.jsondecode")
	}
	if first != json.Delim('{') {
		return whole("value is not a valid dict", "type_error.dict")
	}
	b := &Body{fields: map[string]value{}}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return whole("malformed JSON", "value_error.jsondecode")
		}
		// Within an object a decoder gives no other token here.
		key, _ := name.(string)
		v, err := readValue(d, 1)
		if err != nil {
			return whole("malformed JSON", "value_error.jsondecode")
		}
		if _, twice := b.fields[key]; twice {
			return whole("a field is given twice", "value_error.duplicate")
		}
		b.fields[key] = v
	}
	if _, err := d.Token(); err != nil {
		return whole("malformed JSON", "value_error.jsondecode")
	}
	if _, err := d.Token(); err != io.EOF {
		return whole("malformed JSON", "value_error.jsondecode")
	}
	return b, nil
}

// ReadBody reads a body whose length is -1 where it is not known, whole or not at all,
// and lets parse take it apart.
func ReadBody(body io.Reader, length int64, contentType string, parse func(contentType string, body []byte) (*Body, *Refusal)) (*Body, *Refusal) {
	if length > MaxBody {
		return nil, TooLarge()
	}
	text, err := io.ReadAll(io.LimitReader(body, MaxBody+1))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge || len(text) > MaxBody {
		return nil, TooLarge()
	}
	if err != nil {
		return nil, refuse(http.StatusBadRequest, plugins.ReasonBodyInvalid, "", "reading the body: "+err.Error(), "")
	}
	return parse(contentType, text)
}

// ParseOptionalJSON is ParseJSON of a body that may be missing.
func ParseOptionalJSON(contentType string, body []byte) (*Body, *Refusal) {
	if len(bytes.TrimSpace(body)) == 0 {
		contentType, body = "", []byte("{}")
	}
	return ParseJSON(contentType, body)
}

// readValue reads one value and what is in it.
func readValue(d *json.Decoder, depth int) (value, error) {
	token, err := d.Token()
	if err != nil {
		return value{}, err
	}
	switch v := token.(type) {
	case string:
		return value{kind: kindText, text: v}, nil
	case json.Number:
		return value{kind: kindNumber, text: v.String()}, nil
	case bool:
		return value{kind: kindBool}, nil
	case json.Delim:
		if depth >= maxDepth {
			return value{}, errTooDeep
		}
		found := value{kind: kindList}
		if v == '{' {
			found.kind = kindObject
		}
		for d.More() {
			if v == '{' {
				if _, err := d.Token(); err != nil {
					return value{}, err
				}
			}
			element, err := readValue(d, depth+1)
			if err != nil {
				return value{}, err
			}
			if v == '[' && len(found.list) <= maxElements {
				found.list = append(found.list, value{kind: element.kind, text: element.text})
			}
		}
		_, err := d.Token()
		return found, err
	}
	return value{kind: kindNull}, nil
}

// errTooDeep ends the reading of a body that is nested too deep.
var errTooDeep = io.ErrUnexpectedEOF

// isJSON takes a body without a type for JSON, as FastAPI does.
func isJSON(contentType string) bool {
	if contentType == "" {
		return true
	}
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (media == "application/json" || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json"))
}

// ParseForm reads application/x-www-form-urlencoded. A body of another type has
// no fields.
func ParseForm(contentType string, body []byte) (*Body, *Refusal) {
	b := &Body{fields: map[string]value{}}
	if media, _, err := mime.ParseMediaType(contentType); err != nil || media != "application/x-www-form-urlencoded" {
		return b, nil
	}
	malformed := Wrong(Field{Loc: []any{"body"}, Msg: "malformed form", Type: "value_error"})
	if !utf8.Valid(body) || strings.Count(string(body), "&") > maxElements {
		return nil, malformed
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, malformed
	}
	for name, values := range form {
		if len(values) > 1 {
			return nil, Wrong(Field{Loc: []any{"body"}, Msg: "a field is given twice", Type: "value_error.duplicate"})
		}
		if !utf8.ValidString(values[0]) {
			return nil, malformed
		}
		b.fields[name] = value{kind: kindText, text: values[0]}
	}
	return b, nil
}

// String hides what the body holds.
func (*Body) String() string { return "[body]" }
