// A page that says what went wrong.

import { ready } from "./page.js";

ready();
