package sqlstore

import (
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// encodeTime gives Unix seconds, or NULL for no time: 0 would be a time, and an end
// in 1970 must not become no end.
func encodeTime(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.Unix()
}

// instant reads what encodeTime wrote.
type instant struct{ time.Time }

// Scan implements sql.Scanner.
func (i *instant) Scan(value any) error {
	switch v := value.(type) {
	case nil:
		i.Time = time.Time{}
	case int64:
		i.Time = time.Unix(v, 0).UTC()
	default:
		return fmt.Errorf("reading a time: it is a %T", value)
	}
	return nil
}

// encodeList gives a JSON array.
func encodeList(l []string) string {
	if len(l) == 0 {
		return "[]"
	}
	// Marshalling strings does not fail.
	text, _ := json.Marshal(l)
	return string(text)
}

// list reads what encodeList wrote.
type list []string

// Scan implements sql.Scanner.
func (l *list) Scan(value any) error {
	text, ok := value.(string)
	if !ok {
		return fmt.Errorf("reading a list: it is a %T", value)
	}
	var elements []string
	if err := json.Unmarshal([]byte(text), &elements); err != nil {
		return fmt.Errorf("reading a list: %w", err)
	}
	*l = nil
	if len(elements) > 0 {
		*l = elements
	}
	return nil
}

// limit is what LIMIT takes for a filter's limit.
func limit(n int) int64 {
	if n <= 0 {
		return math.MaxInt64
	}
	return int64(n)
}
