// What pages gain from a script. Every page works without it.
import "./zone.js";
import "./keys.js";
import "./copy.js";
import "./decide.js";
import "./live.js";

document.documentElement.classList.add("js");
