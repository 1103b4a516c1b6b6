// Tells the server the reader's time zone, so that the next page is written in it.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
const secure = location.protocol === "https:" ? "; Secure" : "";
document.cookie = `zone=${zone}; Path=/; SameSite=Lax; Max-Age=31536000${secure}`;
