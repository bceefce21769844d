
$01980000-0000-7000-8000-000000000001document_analysis'{"source":"obj://documents/report.pdf"}0:acmeB
order42H€ ¨Þ¿–˜R,
text_processingdocument_processor°ê €Zh€èö’Í–˜