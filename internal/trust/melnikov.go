package trust

import "strings"

// melnikov finds names by the convention of section 2.4 of the domain-security draft, read as DOM-R5: a URI with the
// scheme smtp or submit and nothing but a host, or a dNSName. The subject name and rfc822Names do not count.
func melnikov(names certificateNames) []string {
	var found []string
	for _, uri := range names.uris {
		if host, ok := mailHost(uri); ok {
			found = append(found, host)
		}
	}
	return append(found, names.hosts...)
}

// mailHost returns the host of a URI that is just a scheme and a host. User information, port, path, query and
// fragment leave octets in it that no domain has, so they fail later like any other bad host.
func mailHost(uri string) (string, bool) {
	scheme, rest, ok := strings.Cut(uri, "://")
	if !ok || !strings.EqualFold(scheme, "smtp") && !strings.EqualFold(scheme, "submit") {
		return "", false
	}
	return strings.TrimSuffix(rest, "/"), true
}
