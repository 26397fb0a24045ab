package reading

import "strings"

// This file holds the words by which field errors are known.

// Words is the set of the words in a text, which white space stands between.
func Words(text string) map[string]bool {
	set := make(map[string]bool)
	for word := range strings.FieldsSeq(text) {
		set[word] = true
	}
	return set
}

// fieldKeys name the collection of field errors, the most specific first.
var fieldKeys = strings.Fields(`
	violations fieldErrors field_errors validationErrors validation_errors invalid-params invalid_params invalidParams
	constraintViolations fieldViolations issues formErrors errors subErrors sub_errors _errors errorCauses causes validation
	validationMessages failures problems details messages fields params propertyViolations parameterViolations classViolations
	returnValueViolations error_fields invalidFields invalid_fields modelState ModelState error_details errorDetails detail message
	error data _embedded cause response body result meta zodError extensions description
`)

// wholeInput are the names frameworks give to errors of no field in particular.
var wholeInput = Words(`
	$ base non_field_errors nonfielderrors __all__ _schema global _global _error _errors * form root general formerrors _ # __root__
	_form _other common
`)

// envelope are members that show an object to be an error rather than a map of
// fields.
var envelope = Words(`
	code message msg error status statuscode detail title type reason timestamp success ok trace stack exception error_description
	errorcode errormessage requestid request_id traceid instance data errors details path url documentation_url id name description
	result meta info state hint links more_info fault cause @type domain metadata locale value
`)

// fieldNames are members of envelope that are common names of fields too. Under
// a member that holds field errors and nothing else, a sentence there is one.
var fieldNames = Words("name title description type status id path url state value domain locale links data info reason code")

// safeNames are those of fieldNames that a sentence is hardly ever an error's own
// under, so that they count as fields beside others at the top too.
var safeNames = Words("name url path state value locale domain id type")

// fieldHolders hold field errors and nothing else where they are objects.
var fieldHolders = Words(`
	errors fields fieldErrors field_errors validationErrors validation_errors invalid_fields invalidFields modelState ModelState
	error_fields params
`)

// itemMessageKeys name the message in one field error.
var itemMessageKeys = strings.Fields(`
	msg message defaultMessage detail description errorMessage error_message messageText reason issue errorSummary error_description
	text error title details hint summary interpolatedMessage explanation
`)

// itemCodeKeys name a machine's word that has to do where there is no message.
var itemCodeKeys = strings.Fields("code errorCode error_code keyword rule constraint tag kind type key")

// itemTypeKeys name the type in one field error.
var itemTypeKeys = strings.Fields("type code keyword errorCode error_code rule kind constraint tag issue reason field_type")

// itemLocKeys name the field in one field error, the most specific first.
var itemLocKeys = strings.Fields(`
	loc instancePath dataPath pointer propertyPath property_path fieldPath field_path jsonPath field fieldName field_name property
	propertyName property_name path param parameter paramName target attribute attributeName attr argument column element member
	input_name name key location expression item id
`)

var envelopeKeys = strings.Fields(`
	errors error message messages errorMessages details violations _embedded _links success issues fieldErrors meta response fault err
	parameterViolations propertyViolations responseStatus
`)

// Places are where input comes from, with FastAPI's word for each.
var Places = map[string]string{
	"body": "body", "query": "query", "querystring": "query", "path": "path", "params": "path", "header": "header",
	"headers": "header", "cookie": "cookie", "cookies": "cookie", "payload": "body", "json": "body", "form": "body",
	"url": "path", "uri": "path", "param": "path", "formdata": "body", "requestbody": "body",
}
