package readers

import (
	"regexp"
	"strings"

	"github.com/ainative/portcullis/plugins/problem/internal/reading"
)

// brokenReader reads what was meant to be JSON: cut off by a timeout or written
// by hand. It takes the pairs that are whole, in the order of messageKeys.
var brokenReader = reader{"broken", func(d *reading.Document) (reading.Finding, bool) {
	if !d.Broken {
		return reading.Finding{}, false
	}
	text := d.Text[:min(len(d.Text), 64<<10)]
	n := &reading.Node{Kind: reading.Object}
	for _, m := range wholePair.FindAllStringSubmatch(text, 64) {
		key, _, ok1 := reading.ParseJSON(`"` + m[1] + `"`)
		value, _, ok2 := reading.ParseJSON(`"` + m[2] + `"`)
		if ok1 && ok2 {
			n.Keys = append(n.Keys, key.Str)
			n.Vals = append(n.Vals, value)
		}
	}
	message := reading.MessageOf(d.Status, n)
	if strings.ContainsAny(message, "{}[]<>") {
		message = ""
	}
	return reading.Finding{Message: message}, true
}}

var wholePair = regexp.MustCompile(`"((?:[^"\\]|\\.){1,64})"\s*:\s*"((?:[^"\\]|\\.)*)"`)
