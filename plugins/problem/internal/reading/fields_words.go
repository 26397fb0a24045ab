package reading

// This file holds the words by which field errors are known, and nothing else.

// fieldKeys name the collection of field errors, the most specific first.
var fieldKeys = []string{
	"violations", "fieldErrors", "field_errors", "validationErrors", "validation_errors", "invalid-params", "invalid_params",
	"invalidParams", "constraintViolations", "fieldViolations", "issues", "formErrors", "errors", "subErrors", "sub_errors", "_errors",
	"errorCauses", "causes", "validation", "validationMessages", "failures", "problems", "details", "messages", "fields", "params",
	"propertyViolations", "parameterViolations", "classViolations", "returnValueViolations", "error_fields", "invalidFields",
	"invalid_fields", "modelState", "ModelState", "error_details", "errorDetails", "detail", "message", "error", "data", "_embedded",
	"cause", "response", "body", "result", "meta", "zodError", "extensions", "description",
}

// wholeInput are the names frameworks give to errors of no field in particular.
var wholeInput = map[string]bool{
	"": true, "$": true, "base": true, "non_field_errors": true, "nonfielderrors": true, "__all__": true, "_schema": true,
	"global": true, "_global": true, "_error": true, "_errors": true, "*": true, "form": true, "root": true, "general": true,
	"formerrors": true, "_": true, "#": true, "__root__": true, "_form": true, "_other": true, "common": true,
}

// envelope are members that show an object to be an error rather than a map of
// fields.
var envelope = map[string]bool{
	"code": true, "message": true, "msg": true, "error": true, "status": true, "statuscode": true, "detail": true, "title": true,
	"type": true, "reason": true, "timestamp": true, "success": true, "ok": true, "trace": true, "stack": true, "exception": true,
	"error_description": true, "errorcode": true, "errormessage": true, "requestid": true, "request_id": true, "traceid": true,
	"instance": true, "data": true, "errors": true, "details": true, "path": true, "url": true, "documentation_url": true,
	"id": true, "name": true, "description": true, "result": true, "meta": true, "info": true, "state": true, "hint": true, "links": true,
	"more_info": true, "fault": true, "cause": true, "@type": true, "domain": true, "metadata": true, "locale": true, "value": true,
}

// fieldNames are members of envelope that are common names of fields too. Under
// a member that holds field errors and nothing else, a sentence there is one.
var fieldNames = map[string]bool{
	"name": true, "title": true, "description": true, "type": true, "status": true, "id": true, "path": true, "url": true, "state": true,
	"value": true, "domain": true, "locale": true, "links": true, "data": true, "info": true, "reason": true, "code": true,
}

// safeNames are those of fieldNames that a sentence is hardly ever an error's own
// under, so that they count as fields beside others at the top too.
var safeNames = map[string]bool{
	"name": true, "url": true, "path": true, "state": true, "value": true, "locale": true, "domain": true, "id": true, "type": true,
}

// fieldHolders hold field errors and nothing else where they are objects.
var fieldHolders = map[string]bool{
	"errors": true, "fields": true, "fieldErrors": true, "field_errors": true, "validationErrors": true, "validation_errors": true,
	"invalid_fields": true, "invalidFields": true, "modelState": true, "ModelState": true, "error_fields": true, "params": true,
}

// itemMessageKeys name the message in one field error.
var itemMessageKeys = []string{
	"msg", "message", "defaultMessage", "detail", "description", "errorMessage", "error_message", "messageText", "reason", "issue",
	"errorSummary", "error_description", "text", "error", "title", "details", "hint", "summary", "interpolatedMessage", "explanation",
}

// itemCodeKeys name a machine's word that has to do where there is no message.
var itemCodeKeys = []string{"code", "errorCode", "error_code", "keyword", "rule", "constraint", "tag", "kind", "type", "key"}

// itemLocKeys name the field in one field error, the most specific first.
var itemLocKeys = []string{
	"loc", "instancePath", "dataPath", "pointer", "propertyPath", "property_path", "fieldPath", "field_path", "jsonPath", "field", "fieldName",
	"field_name", "property", "propertyName", "property_name", "path", "param", "parameter", "paramName", "target", "attribute", "attributeName", "attr",
	"argument", "column", "element", "member", "input_name", "name", "key", "location", "expression", "item", "id",
}

var envelopeKeys = []string{
	"errors", "error", "message", "messages", "errorMessages", "details", "violations", "_embedded", "_links", "success", "issues", "fieldErrors",
	"meta", "response", "fault", "err", "parameterViolations", "propertyViolations", "responseStatus",
}

// Places are where input comes from, with FastAPI's word for each.
var Places = map[string]string{
	"body": "body", "query": "query", "querystring": "query", "path": "path", "params": "path", "header": "header",
	"headers": "header", "cookie": "cookie", "cookies": "cookie", "payload": "body", "json": "body", "form": "body",
	"url": "path", "uri": "path", "param": "path", "formdata": "body", "requestbody": "body",
}
