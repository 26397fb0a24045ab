package problem

import (
	"regexp"
	"strings"
)

// brokenReader reads what was meant to be JSON: cut off by a timeout or written
// by hand. It takes the pairs that are whole, in the order of messageKeys.
var brokenReader = reader{"broken", func(d *Document) (Finding, bool) {
	if !d.Broken {
		return Finding{}, false
	}
	text := d.Text[:min(len(d.Text), 64<<10)]
	n := &Node{kind: jsonObject}
	for _, m := range wholePair.FindAllStringSubmatch(text, 64) {
		key, _, ok1 := parseJSON(`"` + m[1] + `"`)
		value, _, ok2 := parseJSON(`"` + m[2] + `"`)
		if ok1 && ok2 {
			n.keys = append(n.keys, key.str)
			n.vals = append(n.vals, value)
		}
	}
	message := messageOf(d.Status, n)
	if strings.ContainsAny(message, "{}[]<>") {
		message = ""
	}
	return Finding{Message: message}, true
}}

var wholePair = regexp.MustCompile(`"((?:[^"\\]|\\.){1,64})"\s*:\s*"((?:[^"\\]|\\.)*)"`)
