package readers

import (
	"strings"

	"github.com/ainative/portcullis/plugins/problem/internal/reading"
)

// tracebackReader reads a stack sent as text. Nothing of it is for clients.
var tracebackReader = reader{"traceback", func(d *reading.Document) (reading.Finding, bool) {
	head := d.Text[:min(len(d.Text), 4096)]
	for _, mark := range []string{"Traceback (most recent call last", "goroutine ", "Stack trace:", "\n\tat ", "panic: "} {
		if strings.HasPrefix(head, mark) {
			return reading.Finding{}, true
		}
	}
	return reading.Finding{}, false
}}
