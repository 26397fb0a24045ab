// Package problem is how the gateway says no: it reads the error body of any
// upstream and writes one format. It stands last in a response's way, behind
// every other policy, and is the only one that writes to the client.
//
// A Translator takes what an upstream answered (status, headers and a bounded
// body), finds the message a person needs and the fields that are wrong, holds
// back what an attacker wants, and yields a Problem. The same Translator writes
// Problems, those of upstreams and the gateway's own, in the house format:
// FastAPI's {"detail": ...}, RFC 9457, or a template of the operator's.
//
// How a body is read:
//
//	encoding.go, charset.go   bytes to text
//	internal/reading          text to a bounded tree, and what readers share: the message, the field errors
//	internal/readers          a file for each family of frameworks, tried in the order of readers.go
//	internal/leak             a file for each class of leak
//	translate.go, house.go    what of it may leave: a body that is not in the format, and one that is
//	render.go, template.go    the answer
//
// Bodies come from anywhere and may be hostile: every step is bounded in time
// and memory, and none trusts Content-Type.
package problem
