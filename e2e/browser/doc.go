// Package browser looks at harvest's status page with Chromium: what it shows, how it fits
// a phone, what is read out to who can't see it, and that nothing on it runs. It is a module
// of its own, so that the browser's protocol isn't among what harvest depends on.
//
//	make browser-check   what needs no servers; make test runs it
//	make browser         with the tag e2e: what needs the lab, and that alone
package browser
