
»
$01980000-0000-7000-8000-000000000001document_analysis'{"source":"obj://documents/report.pdf"}0:acmeB
order42H€ ¨Ş¿–˜R,
text_processingdocument_processor°ê €Zh€èö’Í–˜,
text_processingdocument_processor°ê €"h
document
×£p=
ï?the best of 2"#
document
×£p=
ï?why document "
genericÃõ(\Âå?why generic*Jdocument-7f°©¨Ş¿–˜!ÍÌÌÌÌÌ(@*retried2
TL3002too slow:document0£¨Ş¿–˜8 ¦¨Ş¿–˜B
_INBOX.abcHP