package readers

import (
	"github.com/ainative/portcullis/plugins/problem/internal/leak"
	"github.com/ainative/portcullis/plugins/problem/internal/reading"
)

// This file has what several readers do once they know what they read.

// envelopeFinding finds the message and the field errors wherever they stand in a
// JSON body.
func envelopeFinding(d *reading.Document) (reading.Finding, bool) {
	return reading.Finding{Message: reading.MessageOf(d.Status, d.JSON), Fields: reading.FieldsOf(d.JSON)}, true
}

// fieldsFinding is a finding of field errors alone: they are its message too.
func fieldsFinding(fields []reading.FieldError) reading.Finding {
	return reading.Finding{Message: reading.Summary(fields), Fields: fields}
}

// listedFields are the field errors of a list; none where there is no list.
func listedFields(list *reading.Node) []reading.FieldError {
	if !list.Is(reading.Array) {
		return nil
	}
	return reading.FieldList(list, nil)
}

// firstTelling is the first text that says something to a person, or else the last.
func firstTelling(texts ...string) string {
	text := ""
	for _, text = range texts {
		if !reading.IsBlank(text) {
			break
		}
	}
	return text
}

// messageOr is a text that says something to a person, or else the message that
// stands anywhere in a JSON body.
func messageOr(d *reading.Document, text string) string {
	if reading.IsBlank(text) {
		return reading.MessageOf(d.Status, d.JSON)
	}
	return text
}

// joinTelling joins messages that are cleaned one by one, so that a stack in one of
// them does not end the rest. It leaves out those that leak.
func joinTelling(status int, msgs []string) string {
	clean := make([]string, 0, min(len(msgs), reading.MaxMessages))
	for _, m := range msgs {
		if len(clean) == reading.MaxMessages {
			break
		}
		if m = reading.Humanize(status, m, reading.MaxMessage); m != "" && leak.Of(m) == "" {
			clean = append(clean, m)
		}
	}
	if len(clean) == 0 && len(msgs) > 0 {
		// All of them leak. The guard sees one, and says so.
		clean = msgs[:1]
	}
	return reading.JoinMessages(clean)
}
