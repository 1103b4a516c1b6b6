// Everything in one file: htmx, our scripts, our style sheets.
import "htmx.org";
import "../static/js/app.js";
import "../static/css/tokens.css";
import "../static/css/base.css";
import "../static/css/frame.css";
import "../static/css/buttons.css";
import "../static/css/parts.css";
import "../static/css/threats.css";
import "../static/css/threat.css";
