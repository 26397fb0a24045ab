package problem

import "github.com/ainative/portcullis/plugins/problem/internal/reading"

// FieldError is one wrong field, in the shape that FastAPI's clients know.
type FieldError = reading.FieldError

// Text returns the fixed public text of a status. It is never empty: a status
// without a registered phrase gets that of its class.
func Text(status int) string { return reading.Text(status) }
