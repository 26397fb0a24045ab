package reading

// Finding is what a Reader got out of a body, as the upstream wrote it. Cleaning
// and guarding come after.
type Finding struct {
	// Message is for people; empty where the body has none.
	Message string
	// Fields are the field errors.
	Fields []FieldError
	// RetryAfter is in seconds; zero where the body says nothing.
	RetryAfter int
	// Title and Type are RFC 9457's.
	Title, Type string
	// ClientFault says that the message is for the caller although the status is
	// 5xx: SOAP 1.1 sends every fault with 500.
	ClientFault bool
	// SafeSQL says that the message is a database's and yet safe: it is about the
	// caller's own input.
	SafeSQL bool
	// Instead is a document within the body that is the answer: JSON behind the
	// warnings of PHP, or shown in a page. It is read in the body's place.
	Instead *Document
}

// FieldError is one wrong field, in the shape FastAPI's clients know.
type FieldError struct {
	// Loc leads to the field. Elements are strings, and int64 for an index. It is
	// the path as the upstream gave it, headed by `query`, `header`, `path`,
	// `cookie` or `body` where the upstream said so; ["body"] is the whole input.
	Loc []any
	// Msg is for people.
	Msg string
	// Type is for programs; `value_error` where the upstream gave none.
	Type string
}
