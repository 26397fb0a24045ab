<%@ page contentType="application/json; charset=UTF-8" session="false" trimDirectiveWhitespaces="true" %>
<% String rest = request.getPathInfo();
   String[] parts = rest == null ? new String[0] : rest.split("/");
   String route = config.getServletName();
   String id = parts.length > 1 ? parts[1] : "";
   // The mapping /v1/users/* has the list of all users too, which is another route.
   if (route.equals("user") && id.isEmpty()) {
     route = "users";
   } %>
{"route":"<%= route %>","id":"<%= id %>"}
